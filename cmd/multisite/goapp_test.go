package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goSites are both kinds of Go site. Without GORACE a test binary with the race detector
// would take a second to exit.
const goSites = `
listen = "127.0.0.1:0"
[defaults]
processes = 2
env = { GORACE = "atexit_sleep_ms=0" }
[site.subdomain1]
server_name = "subdomain1.localhost"
settings = "builtin:subdomain1"
[site.subdomain2]
server_name = "subdomain2.localhost"
settings = "builtin:subdomain2"
[site.hello]
server_name = "hello.example.com"
app = "./goapp"
`

// TestGoSites serves built-in apps and a program of its own.
func TestGoSites(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, goSites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	r.parts(t, []part{
		{"each site answers for itself", goSitesAnswer},
		{"a program that is not ours answers", programAnswers},
		{"a dead worker is replaced, its request repeated", programDies},
		{"restart replaces every process under load", programRestarts},
	})
}

func build(t testing.TB, dir, to string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", to, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", dir, err, out)
	}
}

func goSitesAnswer(t *testing.T, r *running) {
	v := r.newVisitor()
	first, second := v.get("subdomain1.localhost", "/"), v.get("subdomain2.localhost", "/")
	if first.status != 200 || second.status != 200 || first.body == second.body {
		t.Errorf("status %d and %d, the same page: %v", first.status, second.status, first.body == second.body)
	}
	if a := v.get("subdomain1.localhost", "/admin/"); a.status != 200 || !strings.Contains(a.body, `type="password"`) {
		t.Errorf("the admin: status %d, want a form to log in:\n%s", a.status, a.body)
	}
	settings := map[string]string{"subdomain1": "builtin:subdomain1", "subdomain2": "builtin:subdomain2", "hello": filepath.Join(r.dir, "goapp")}
	for _, site := range r.status().Sites {
		if len(site.Workers) != 2 || site.Workers[0].PID == site.Workers[1].PID || site.Workers[0].Memory.PSS == 0 {
			t.Errorf("site %s: %+v", site.Name, site.Workers)
		}
		if site.Settings != settings[site.Name] {
			t.Errorf("site %s: settings %q", site.Name, site.Settings)
		}
	}
}

var helloFrom = regexp.MustCompile(`^Hello from hello\.example\.com, process (\d+), for /a%2Fb\?c=d\n$`)

func programAnswers(t *testing.T, r *running) {
	a := r.get("hello.example.com", "/a%2Fb?c=d")
	m := helloFrom.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("status %d:\n%s", a.status, a.body)
	}
	pids := r.pids("hello")
	var pid int
	fmt.Sscan(m[1], &pid)
	if !pids[pid] {
		t.Errorf("process %d answered, the workers are %v", pid, pids)
	}
	if a := r.get("hello.example.com", "/panic"); a.status != 500 || strings.Contains(a.body, "as asked") {
		t.Errorf("a panic: status %d, want 500 without the reason:\n%s", a.status, a.body)
	}
	resp, err := r.newVisitor().http.Do(newRequest(t, http.MethodGet, "hello.example.com", "/stream", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(b), "line 9\n") {
		t.Errorf("the stream ends with %v after %q", err, b)
	}
}

func programDies(t *testing.T, r *running) {
	before := r.pids("hello")
	a := r.get("hello.example.com", "/crash")
	if a.status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", a.status)
	}
	eventually(t, "two new workers", func() bool {
		s := r.site("hello")
		for _, w := range s.Workers {
			if before[w.PID] {
				return false
			}
		}
		return s.State == "running" && s.Restarts == 2
	})
	if log := r.siteLog("hello"); strings.Count(log, `exit="exit status 3"`) != 2 || !strings.Contains(log, `running="GET /crash"`) {
		t.Errorf("the log does not say how they ended:\n%s", log)
	}
}

func programRestarts(t *testing.T, r *running) {
	before := r.pids("hello")
	load := r.startLoad("hello.example.com", 8, "Hello from hello.example.com", "/", "/sleep?ms=10")
	eventually(t, "the load", func() bool { return r.site("hello").Requests.PerSecond > 1 })
	r.must("restart", "hello")
	load.stop()
	for pid := range r.pids("hello") {
		if before[pid] {
			t.Errorf("pid %d is still there", pid)
		}
		delete(before, pid)
	}
	for pid := range before {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the old process %d still runs when restart has returned", pid)
		}
	}
}
