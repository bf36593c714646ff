package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const hungrySites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "hungry.wsgi"
memory_limit_hard = "60MB"
[site.forked]
server_name = "forked.example.com"
[site.spawned]
server_name = "spawned.example.com"
preload = false
`

const hungryScript = `
import os

kept = []

def application(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        for size in 4000, 400, 200, 100, 50, 10:  # until nothing is left
            try:
                while True:
                    kept.append(os.urandom(size))
            except MemoryError:
                pass
        raise MemoryError
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
`

// TestHardLimit_OfAPythonWorker: a worker that leaks exits, whichever way its limit is set,
// the reason is reported, and another one takes its place.
func TestHardLimit_OfAPythonWorker(t *testing.T) {
	t.Parallel()
	t.Run("RLIMIT_DATA", func(t *testing.T) {
		t.Parallel()
		r := upHungry(t, nil)
		if r.hasGroups() {
			t.Skip("this machine has control groups for everybody")
		}
		if n := strings.Count(r.log.String(), "memory_limit_hard is set by RLIMIT_DATA"); n != 1 {
			t.Errorf("the log says %d times why", n)
		}
		// MemoryError is a 500; then there is not enough left to wait for the next request.
		leaks(t, r, "forked", "exit status 1")
		leaks(t, r, "spawned", "exit status 1")
	})
	t.Run("control group", func(t *testing.T) {
		t.Parallel()
		r := upHungry(t, inGroup(t))
		leaks(t, r, "forked", `signal killed \(9\)`)
		leaks(t, r, "spawned", `signal killed \(9\)`)
	})
}

func upHungry(t *testing.T, wrap []string) *running {
	r := &running{t: t, dir: newDir(t, hungrySites), out: &screen{}, log: &screen{}, wrap: wrap}
	writeFile(t, filepath.Join(r.dir, "hungry.wsgi"), hungryScript)
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	return r
}

// hasGroups reports whether memory_limit_hard can be set by control groups, as in a
// container that may write its own.
func (r *running) hasGroups() bool {
	return !strings.Contains(r.log.String(), "memory_limit_hard is set by RLIMIT_DATA")
}

// inGroup returns a wrapper that runs a command in a control group of its own.
func inGroup(t *testing.T) (wrap []string) {
	parent := os.Getenv("MULTISITE_TEST_CGROUP")
	if parent == "" {
		t.Skip("MULTISITE_TEST_CGROUP names no control group of version 2 that has memory and is the tests' own")
	}
	dir := filepath.Join(parent, "up"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		own, _ := filepath.Glob(filepath.Join(dir, "multisite.*")) // the pattern is valid
		for _, group := range append(own, dir) {
			if err := os.Remove(group); err != nil {
				t.Error(err)
			}
		}
	})
	return []string{"sh", "-c", `echo $$ >"$1/cgroup.procs"; shift; exec "$@"`, "sh", dir}
}

func leaks(t *testing.T, r *running, site, exit string) {
	t.Helper()
	before := r.pids(site)
	a, err := r.newVisitor().do(newRequest(t, http.MethodPost, site+".example.com", "/leak", nil)) // not repeated
	if err != nil || a.status != http.StatusInternalServerError && a.status != http.StatusBadGateway {
		t.Errorf("%s: status %d, %v, want 500, or 502 of a worker that was killed", site, a.status, err)
	}
	r.waitLog(site, `level=ERROR msg="worker ended" worker=`+site+`/1 pid=\d+ reason=oom exit="`+exit+`"`)
	eventually(t, "another worker", func() bool {
		w := r.site(site).Workers
		return len(w) == 1 && w[0].State == "ready" && !before[w[0].PID]
	})
	if a := r.get(site+".example.com", "/"); a.body != "here" {
		t.Errorf("%s: status %d, then", site, a.status)
	}
}
