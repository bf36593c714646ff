package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

// use is the resources that a supervisor holds.
type use struct {
	descriptors, threads, processes int
	pss                             int64
}

// TestReload_GenerationsUnderLoad reloads new code again and again under load, and kills a
// worker of each site. No request fails, and neither the supervisor nor the workers grow: not
// from generation to generation, nor over many requests.
func TestReload_GenerationsUnderLoad(t *testing.T) {
	t.Parallel()
	generations, early, late := 6, int64(100), int64(500) // requests for each worker
	if longForm() {
		generations, early, late = 50, 500, 5000 // 20,000 in all
	}
	r := newRunning(t, newDir(t, reloadSites))
	r.say("page 1")
	measured := r.measurable()
	r.start()
	t.Cleanup(r.finish)
	edited := r.startLoad("edited.example.com", 2, "page ", "/")
	other := r.startLoad(host1, 2, "Subdomain One", "/hello/")
	visitor := r.newVisitor() // a single visitor has a single connection
	var first use
	var fresh map[string]int64
	for n := 2; n <= generations; n++ {
		r.say(fmt.Sprintf("page %d", n))
		r.wantReload(fmt.Sprintf("edited: new workers, generation %d (code changed)\n", n))
		if got, want := visitor.get("edited.example.com", "/").body, fmt.Sprintf("page %d", n); got != want {
			t.Fatalf("after reload %d: %q", n, got)
		}
		if n == 3 { // one-time allocations are done
			first = r.useAtRest()
			fresh = r.ussAfter(early)
		}
	}
	for _, site := range []string{"edited", "subdomain1"} {
		kill(t, r.busyWorker(site))
		eventually(t, "another worker", func() bool { return r.site(site).Restarts == 1 && r.site(site).Processes.Ready == 2 })
	}
	old := r.ussAfter(late)
	t.Logf("USS of a worker after %d requests: %v, of the last generation after %d: %v", early, fresh, late, old)
	for site, bytes := range old {
		if grown := bytes - fresh[site]; measured && grown > 1<<20 {
			t.Errorf("a worker of %s holds %d bytes more at the end", site, grown)
		}
	}
	last := r.useAtRest()
	t.Logf("after 3 generations %+v, after %d %+v", first, generations, last)
	if last.processes != first.processes || last.descriptors > first.descriptors+3 || last.threads > first.threads+4 ||
		last.pss > first.pss+16<<20 && measured {
		t.Errorf("after 3 generations %+v, after %d %+v", first, generations, last)
	}
	edited.stop()
	other.stop()
	for _, s := range r.status().Sites {
		if s.Requests.Errors != 0 || s.Restarts != 1 || s.State != "running" {
			t.Errorf("site %s is %s: %d errors, %d restarts", s.Name, s.State, s.Requests.Errors, s.Restarts)
		}
	}
}

// ussAfter waits until every worker has served so many requests. It returns what a worker of
// each site holds of its own, on average.
func (r *running) ussAfter(requests int64) map[string]int64 {
	r.t.Helper()
	var sites []status.Site
	eventually(r.t, "the requests", func() bool {
		sites = r.status().Sites
		return !slices.ContainsFunc(sites, func(s status.Site) bool {
			return slices.ContainsFunc(s.Workers, func(w status.Worker) bool { return w.Requests < requests })
		})
	})
	uss := map[string]int64{}
	for _, s := range sites {
		for _, w := range s.Workers {
			uss[s.Name] += w.Memory.USS / int64(len(s.Workers))
		}
	}
	return uss
}

// useAtRest returns what the supervisor uses when the last old generation has exited.
func (r *running) useAtRest() use {
	r.t.Helper()
	const all = 2*2 + 2 // workers and zygotes
	eventually(r.t, "the old generation to exit", func() bool { return len(children(r.t, r.pid)) == all })
	return r.usage()
}

// usage returns what the supervisor uses now.
func (r *running) usage() use {
	r.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(r.pid))
	descriptors, err := os.ReadDir(proc + "/fd")
	if err != nil {
		r.t.Fatal(err)
	}
	threads, err := os.ReadDir(proc + "/task")
	if err != nil {
		r.t.Fatal(err)
	}
	return use{len(descriptors), len(threads), len(leftProcesses(r.t, r.dir)), r.memory().PSS}
}

func (r *running) memory() status.Memory {
	r.t.Helper()
	return r.status().Supervisor.Memory
}
