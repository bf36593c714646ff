package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const boundSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
processes = 2
memory_limit_hard = "1GB"
cpu_priority = 3
[site.forked]
server_name = "forked.example.com"
wsgi = "bound.wsgi"
threads = 2
stack_size = "1MiB"
[site.spawned]
server_name = "spawned.example.com"
wsgi = "bound.wsgi"
preload = false
threads = 2
stack_size = "1MiB"
[site.program]
server_name = "program.example.com"
app = "./goapp"
[site.guests]
server_name = "guests.example.com"
app = "./goapp"
max_clients_per_ip = 2
`

const boundScript = `
import threading

def application(environ, start_response):
    if environ["PATH_INFO"] == "/large":
        b"x" * 2_000_000_000
    size = threading.stack_size()  # to ask without an argument sets it to 0
    threading.stack_size(size)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"stack %d\n" % size]
`

// TestBounds_OfEveryKindOfWorker: forked workers, Python workers that load the code
// themselves, and Go workers.
func TestBounds_OfEveryKindOfWorker(t *testing.T) {
	t.Parallel()
	low := min(niceOf(t, "/proc/self")+1, 18) // an ordinary user can only raise it
	high := low + 1
	sites := strings.Replace(boundSites, "cpu_priority = 3\n", fmt.Sprintf("cpu_priority = %d\n", low), 1)
	r := newRunning(t, newDir(t, sites))
	writeFile(t, filepath.Join(r.dir, "bound.wsgi"), boundScript)
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	t.Run("memory and priority are set", func(t *testing.T) { wantBounds(t, r.in(t), "1000000000", low) })
	t.Run("stack_size", func(t *testing.T) {
		for _, site := range []string{"forked", "spawned"} {
			if a := r.in(t).askSite(site, "/"); a.body != "stack 1048576\n" {
				t.Errorf("%s: status %d\n%s", site, a.status, a.body)
			}
		}
	})
	t.Run("refused memory is one failed request", func(t *testing.T) { refusedMemory(t, r.in(t)) })
	t.Run("a reload changes them without a new worker", func(t *testing.T) { reloadBounds(t, r.in(t), low, high) })
	t.Run("max_clients_per_ip", func(t *testing.T) { tooManyGuests(t, r.in(t)) })
}

// wantBounds checks what the kernel says of each worker.
func wantBounds(t *testing.T, r *running, memory string, nice int) {
	data := regexp.MustCompile(`Max data size +(\S+) `)
	for _, site := range []string{"forked", "spawned", "program"} {
		for pid := range r.pids(site) {
			proc := fmt.Sprintf("/proc/%d/", pid)
			if m := data.FindStringSubmatch(readFile(t, proc+"limits")); !r.hasGroups() && (m == nil || m[1] != memory) {
				t.Errorf("%s: memory %q, want %s", site, m, memory)
			}
			tasks, err := os.ReadDir(proc + "task")
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range tasks {
				if got := niceOf(t, proc+"task/"+task.Name()); got != nice {
					t.Errorf("%s: a thread has priority %d, want %d", site, got, nice)
				}
			}
		}
	}
}

// niceOf returns the nice value of a process or thread, by its directory in /proc.
func niceOf(t *testing.T, dir string) int {
	t.Helper()
	_, stat, _ := strings.Cut(readFile(t, dir+"/stat"), ") ")
	nice, err := strconv.Atoi(strings.Fields(stat)[16])
	if err != nil {
		t.Fatal(err)
	}
	return nice
}

func refusedMemory(t *testing.T, r *running) {
	if r.hasGroups() {
		t.Skip("a control group does not refuse memory")
	}
	for _, site := range []string{"forked", "spawned"} {
		before := r.pids(site)
		if a := r.askSite(site, "/large"); a.status != http.StatusInternalServerError {
			t.Errorf("%s: status %d, want 500", site, a.status)
		}
		said := regexp.MustCompile(site + `/\d MemoryError\n`)
		eventually(t, "the log to say why", func() bool { return said.MatchString(r.siteLog(site)) })
		if a := r.askSite(site, "/"); a.status != 200 || !maps.Equal(before, r.pids(site)) {
			t.Errorf("%s: status %d, processes %v, then %v", site, a.status, before, r.pids(site))
		}
	}
}

func reloadBounds(t *testing.T, r *running, low, high int) {
	before := map[string]map[int]bool{}
	for _, site := range []string{"forked", "spawned", "program"} {
		before[site] = r.pids(site)
	}
	raised := fmt.Sprintf("cpu_priority = %d\n", high)
	r.rewrite(`"1GB"`, `"2GB"`)
	r.rewrite(fmt.Sprintf("cpu_priority = %d\n", low), raised)
	wantSaid := func(keys string) {
		t.Helper()
		if said := r.must("reload"); !strings.Contains(said, "forked: "+keys+" changed, no worker restarted") {
			t.Errorf("it said:\n%s", said)
		}
	}
	wantSaid("memory_limit_hard, cpu_priority")
	wantBounds(t, r, "2000000000", high)
	r.rewrite("memory_limit_hard = \"2GB\"\n", "")
	if os.Geteuid() == 0 {
		r.rewrite(raised, "")
		wantSaid("memory_limit_hard, cpu_priority")
		wantBounds(t, r, "unlimited", niceOf(t, fmt.Sprintf("/proc/%d", r.pid)))
	} else { // a user who cannot lower a nice value
		wantSaid("memory_limit_hard")
		wantBounds(t, r, "unlimited", high)
	}
	for site, pids := range before {
		if !maps.Equal(pids, r.pids(site)) {
			t.Errorf("%s has new processes", site)
		}
	}
}

func tooManyGuests(t *testing.T, r *running) {
	release := r.holdFile()
	held := "/hold?file=" + url.QueryEscape(filepath.Join(r.dir, "hold"))
	slow := make(chan answer, 2)
	for range 2 {
		go func() {
			a, err := r.newVisitor().do(newRequest(t, http.MethodGet, hostOf("guests"), held, nil))
			if err != nil {
				t.Error(err)
			}
			slow <- a
		}()
	}
	eventually(t, "both to be served", func() bool { return r.site("guests").Requests.Active == 2 })
	a := r.askSite("guests", "/")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("the third: status %d, want 429", a.status)
	}
	if log := r.siteLog("guests"); !strings.Contains(log, "status=429 limit=max_clients_per_ip") {
		t.Errorf("the log does not name the limit:\n%s", log)
	}
	other := &visitor{t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, "tcp", r.addr)
		}}}}
	if a := other.get(hostOf("guests"), "/"); a.status != 200 {
		t.Errorf("from another address: status %d", a.status)
	}
	release()
	for range 2 {
		if a := <-slow; a.status != 200 {
			t.Errorf("the first two: status %d", a.status)
		}
	}
	if a := r.askSite("guests", "/"); a.status != 200 {
		t.Errorf("after them: status %d", a.status)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
