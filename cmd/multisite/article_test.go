package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

// TestArticle serves the article's own layout: two sites of one code base, each
// with five worker processes, its own settings, URLconf and SITE_ID. Its parts
// share one supervisor and run in this order.
func TestArticle(t *testing.T) {
	t.Parallel()
	r := up(t, articleSites(t))
	r.parts(t, []part{
		{"up tells the addresses", upTellsAddresses},
		{"ten workers", tenWorkers},
		{"each site answers for itself", sitesAnswer},
		{"an unknown host gets no site", unknownHost},
		{"localhost lists the sites", localhostLists},
		{"static files of each site", staticFiles},
		{"one admin on both sites", adminOnBothSites},
		{"status is a contract", statusContract},
		{"the status table", statusTable},
		{"scale touches only the difference", scaleDifference},
	})
}

func upTellsAddresses(t *testing.T, r *running) {
	port := r.addr[strings.LastIndexByte(r.addr, ':'):]
	want := fmt.Sprintf("%-20s %-40s running, 5 of 5 workers\n%-20s %-40s running, 5 of 5 workers\n",
		"subdomain1", "http://subdomain1.localhost"+port+"/", "subdomain2", "http://subdomain2.localhost"+port+"/")
	if got := r.out.String(); got != want {
		t.Errorf("up printed:\n%s\nwant:\n%s", got, want)
	}
}

// tenWorkers: the processes are there, each with its own socket.
func tenWorkers(t *testing.T, r *running) {
	pids, sockets := map[int]bool{}, map[string]bool{}
	for _, site := range r.status().Sites {
		if site.State != "running" || site.Processes != (status.Processes{Desired: 5, Ready: 5, Min: 5, Max: 5}) || site.Threads != 1 {
			t.Errorf("site %s: %s, %+v, %d threads", site.Name, site.State, site.Processes, site.Threads)
		}
		for i, w := range site.Workers {
			if want := fmt.Sprintf("%s/%d", site.Name, i+1); w.ID != want || w.State != "ready" {
				t.Errorf("worker %s is %s, want %s ready", w.ID, w.State, want)
			}
			if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", w.PID)); err != nil || !strings.Contains(exe, "python") {
				t.Errorf("worker %s: pid %d runs %s, %v", w.ID, w.PID, exe, err)
			}
			if info, err := os.Stat(w.Socket); err != nil || info.Mode() != os.ModeSocket|0o600 {
				t.Errorf("worker %s: socket %s: %v, %v", w.ID, w.Socket, info, err)
			}
			pids[w.PID], sockets[w.Socket] = true, true
		}
	}
	if len(pids) != 10 || len(sockets) != 10 {
		t.Errorf("%d processes and %d sockets, want 10 and 10", len(pids), len(sockets))
	}
}

// sitesAnswer: every page is served by a process of its own site.
func sitesAnswer(t *testing.T, r *running) {
	for _, site := range []struct {
		name, host, title string
		want              whoami
	}{
		{"subdomain1", host1, "Articles of Subdomain One", whoami{SiteID: 1, Settings: "subdomain1_settings", URLConf: "subdomain1_urls"}},
		{"subdomain2", host2, "Events of Subdomain Two", whoami{SiteID: 2, Settings: "subdomain2_settings", URLConf: "subdomain2_urls"}},
	} {
		pids := r.pids(site.name)
		v := r.newVisitor()
		for range 40 {
			got := v.whoami(site.host)
			if !pids[got.PID] {
				t.Fatalf("pid %d answers for %s, whose workers are %v", got.PID, site.host, pids)
			}
			if got.SiteID != site.want.SiteID || got.Settings != site.want.Settings || got.URLConf != site.want.URLConf {
				t.Fatalf("%s answers %+v", site.host, got)
			}
		}
		for _, host := range []string{site.host, strings.ToUpper(site.host) + ":80", site.name + ".localhost."} {
			req := newRequest(t, http.MethodGet, site.host, "/", nil)
			req.Host = host
			a, err := v.do(req)
			if err != nil || !strings.Contains(a.body, site.title) {
				t.Errorf("%s: status %d, %v, want a page with %q:\n%s", host, a.status, err, site.title, a.body)
			}
		}
	}
}

func unknownHost(t *testing.T, r *running) {
	for _, host := range []string{"example.com", "www.subdomain1.example.com", "127.0.0.2", "subdomain3.example.com"} {
		a := r.get(host, "/")
		if a.status != http.StatusMisdirectedRequest || regexp.MustCompile(`(?i)subdomain|django`).MatchString(a.body) {
			t.Errorf("%s: status %d, want 421 and nothing of a site:\n%s", host, a.status, a.body)
		}
	}
}

// localhostLists: a person on this machine finds the sites.
func localhostLists(t *testing.T, r *running) {
	port := r.addr[strings.LastIndexByte(r.addr, ':'):]
	for _, host := range []string{"localhost", "127.0.0.1" + port} {
		a := r.get(host, "/")
		for _, want := range []string{`<a href="http://subdomain1.localhost` + port + `/">subdomain1</a>`, ">subdomain2</a>"} {
			if a.status != http.StatusOK || !strings.Contains(a.body, want) {
				t.Errorf("%s: status %d, no %s in %s", host, a.status, want, a.body)
			}
		}
	}
}

// staticFiles: each site serves its own file of the same name, and the files of the admin
// are served although Django itself serves none.
func staticFiles(t *testing.T, r *running) {
	v := r.newVisitor()
	first, second := v.get(host1, "/static/site.css"), v.get(host2, "/static/site.css")
	if first.status != 200 || second.status != 200 || first.body == second.body {
		t.Errorf("site.css: %d and %d, the same file: %v", first.status, second.status, first.body == second.body)
	}
	a := v.get(host1, "/static/admin/css/base.css")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("the admin's CSS: status %d, %s", a.status, a.header.Get("Content-Type"))
	}
	if a := v.get(host1, "/static/no-such.css"); a.status != 404 {
		t.Errorf("a file that is not there: status %d", a.status)
	}
}

// scaleDifference: of five workers three stay as they are, and the other site is not
// affected.
func scaleDifference(t *testing.T, r *running) {
	before, other := workersByPID(r.site("subdomain1")), r.site("subdomain2").Workers
	if out := r.must("scale", "subdomain1", "3"); out != "" {
		t.Errorf("scale printed %q", out)
	}
	three := workersByPID(r.site("subdomain1"))
	if len(three) != 3 {
		t.Fatalf("%d workers, want 3", len(three))
	}
	for pid, started := range three {
		if before[pid] != started {
			t.Errorf("pid %d, started %s, is none of the five old workers %v", pid, started, before)
		}
	}
	r.must("scale", "subdomain1=5")
	five := workersByPID(r.site("subdomain1"))
	if len(five) != 5 {
		t.Errorf("%d workers, want 5", len(five))
	}
	maps.DeleteFunc(five, func(pid int, started string) bool { return three[pid] == started })
	if len(five) != 2 {
		t.Errorf("%d new workers, want 2: the three stay", len(five))
	}
	for i, w := range r.site("subdomain2").Workers {
		if w.PID != other[i].PID || !w.Started.Equal(other[i].Started) {
			t.Errorf("worker %s is now pid %d, was %d", w.ID, w.PID, other[i].PID)
		}
	}
	if n := r.site("subdomain1").Restarts; n != 0 {
		t.Errorf("%d restarts", n)
	}
}

// workersByPID returns when each process started.
func workersByPID(s status.Site) map[int]string {
	started := map[int]string{}
	for _, w := range s.Workers {
		started[w.PID] = w.Started.String()
	}
	return started
}
