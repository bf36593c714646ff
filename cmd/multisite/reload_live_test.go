package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// liveSites are sites of which the test changes what needs no new worker.
const liveSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "live.wsgi"
[site.slow]
server_name = "slow.example.com"
preload = false
startup_timeout = "10m"
[site.forked]
server_name = "forked.example.com"
processes = 2
startup_timeout = "10m"
`

const liveScript = `
import os, time

if os.path.exists("hang"):
    time.sleep(1000)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here\n"]
`

// TestReload_Live: what is said to have changed without a new worker holds.
func TestReload_Live(t *testing.T) {
	t.Parallel()
	r := &running{t: t, dir: newDir(t, liveSites), out: &screen{}, log: &screen{}}
	writeFile(t, filepath.Join(r.dir, "live.wsgi"), liveScript)
	r.start()
	t.Cleanup(r.finish)
	for _, part := range []struct {
		name string
		test func(*testing.T, *running)
	}{
		{"startup_timeout", liveStartupTimeout},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, r.in(t)) })
	}
}

// live changes sites.toml and reloads, after which every worker must still be there.
func (r *running) live(want, old, now string) {
	r.t.Helper()
	before := map[string]map[int]bool{}
	for _, s := range r.status().Sites {
		before[s.Name] = r.pids(s.Name)
	}
	r.rewrite(old, now)
	r.wantReload(want)
	for site, pids := range before {
		if !maps.Equal(pids, r.pids(site)) {
			r.t.Errorf("%s has new processes", site)
		}
	}
}

// liveStartupTimeout: the next launch has no more than the new one, in an
// interpreter of its own and from a zygote that is made anew.
func liveStartupTimeout(t *testing.T, r *running) {
	for _, site := range []string{"slow", "forked"} {
		r.live(site+": startup_timeout changed, no worker restarted\n", `startup_timeout = "10m"`, `startup_timeout = "700ms"`)
		writeFile(t, filepath.Join(r.dir, "hang"), "")
		for _, c := range children(t, r.pid) {
			if c.name == "zyg "+site { // before a worker is forked from it
				kill(t, c.pid)
			}
		}
		for pid := range r.pids(site) {
			kill(t, pid)
		}
		last := regexp.MustCompile(`^` + site + `/\d pid \d+: startup_timeout, `)
		eventually(t, "a launch to take too long", func() bool { return last.MatchString(r.site(site).LastExit) })
		if err := os.Remove(filepath.Join(r.dir, "hang")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the site to be there again", func() bool { return r.site(site).State == "running" })
	}
}
