package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// slack is how late an exact limit may be. In the long form each try has to meet it; in the
// short form, on a busy machine, one of a few.
const (
	slack = 200 * time.Millisecond
	tries = 3
)

// takesExactly checks that f takes this time, never less, and at most slack more.
func takesExactly(t *testing.T, want time.Duration, try func() time.Duration) {
	t.Helper()
	for i := range tries {
		took := try()
		t.Logf("try %d: %v, want %v", i+1, took, want)
		switch late := took > want+slack; {
		case took < want:
			t.Errorf("took %v, less than %v", took, want)
		case !late && !longForm():
			return
		case late && (longForm() || i == tries-1):
			t.Errorf("took %v, not within %v of %v", took, slack, want)
		}
	}
}

// TestFault_RequestTimeout (E4): every thread of the site is stuck. The clients that wait
// get 504 in time, and the next one finds a new worker. Other requests of the stuck workers
// are answered.
func TestFault_RequestTimeout(t *testing.T) {
	t.Parallel()
	const site = "\n[site.%[1]s]\nserver_name = \"%[1]s.example.com\"\nsettings = \"subdomain1_settings\"\nthreads = %[2]d\n"
	limit := time.Second
	if longForm() {
		limit = 3 * time.Second
	}
	r := up(t, pythonSites+fmt.Sprintf("processes = 2\nrequest_timeout = %q\nshutdown_timeout = \"500ms\"\n", limit)+
		fmt.Sprintf(site, "one", 1)+fmt.Sprintf(site, "five", 5))
	for name, threads := range map[string]int{"one": 1, "five": 5} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			host := name + ".example.com"
			takesExactly(t, limit, func() time.Duration {
				took := r.stuck(host, 2*threads, limit)
				start := time.Now()
				if a := r.get(host, "/hello/"); a.status != 200 {
					t.Errorf("the next request: status %d", a.status)
				}
				next := time.Since(start)
				t.Logf("the next request: %v", next)
				if next > time.Second {
					t.Errorf("the next request was answered after %v, want within 1s", next)
				}
				r.waitSite(name, "running")
				return took
			})
			stack := regexp.MustCompile(name + `/\d   File ".*/probe/views.py", line \d+ in sleep`)
			if !stack.MatchString(r.siteLog(name)) {
				t.Error("the log has no stack of the stuck worker")
			}
		})
	}
	t.Run("threads that are not stuck", func(t *testing.T) { othersGoOn(t, r.in(t), limit) })
}

// stuck sends so many requests at once that overrun the limit, and returns when the last
// is answered.
func (r *running) stuck(host string, n int, limit time.Duration) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for range n {
		wg.Go(func() {
			a, err := r.newVisitor().do(newRequest(r.t, http.MethodGet, host, "/probe/sleep/?ms=60000", nil))
			if err != nil || a.status != http.StatusGatewayTimeout {
				r.t.Errorf("status %d, %v, want 504", a.status, err)
			}
			if took := time.Since(start); took < limit {
				r.t.Errorf("504 after %v, want no less than %v", took, limit)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// othersGoOn: one of the five threads of each worker is stuck.
func othersGoOn(t *testing.T, r *running, limit time.Duration) {
	const host = "five.example.com"
	load := r.startLoad(host, 4, "", "/probe/sleep/?ms=400", "/hello/")
	for range 3 {
		r.stuck(host, 1, limit)
	}
	load.stop()
}

// TestFault_Queue (E5): a request that has waited for queue_timeout is refused at that
// moment, and one that finds the queue full at once.
func TestFault_Queue(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+`
processes = 1
listen_backlog = 2
queue_timeout = "1s"
`+subdomain1)
	release := r.hold(6000)
	defer release()
	takesExactly(t, time.Second, func() time.Duration { return r.refused("/hello/") })
	for range 2 {
		go func() { _, _ = r.newVisitor().do(newRequest(t, http.MethodGet, host1, "/hello/", nil)) }() // refused in its time
	}
	eventually(t, "two to wait", func() bool { return r.site("subdomain1").Requests.Queued == 2 })
	takesExactly(t, 0, func() time.Duration { return r.refused("/hello/") })
}

// hold keeps the site's only worker busy for so many milliseconds.
func (r *running) hold(ms int) (release func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		a, err := r.newVisitor().do(newRequest(r.t, http.MethodGet, host1, fmt.Sprintf("/probe/sleep/?ms=%d", ms), nil))
		if err != nil || a.status != 200 {
			r.t.Errorf("the one that is served: status %d, %v", a.status, err)
		}
	})
	eventually(r.t, "the worker to be busy", func() bool { return r.site("subdomain1").Requests.Active == 1 })
	return wg.Wait
}

// refused sends a request that must be refused, and returns when it was.
func (r *running) refused(path string) time.Duration {
	r.t.Helper()
	start := time.Now()
	a := r.get(host1, path)
	took := time.Since(start)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		r.t.Errorf("status %d, Retry-After %q, want 503", a.status, a.header.Get("Retry-After"))
	}
	return took
}

// TestFault_RequestTimeoutOfAGoWorker (E4): a handler that returns when its request's
// context ends costs no worker; one that does not costs its worker. An upgrade does not
// change that.
func TestFault_RequestTimeoutOfAGoWorker(t *testing.T) {
	t.Parallel()
	for _, upgrades := range []int{0, 2} {
		t.Run(fmt.Sprintf("after %d upgrades", upgrades), func(t *testing.T) {
			t.Parallel()
			goWorkerOverruns(t, upgrades)
		})
	}
}

func goWorkerOverruns(t *testing.T, upgrades int) {
	r := newRunning(t, newDir(t, `listen = "127.0.0.1:0"
[site.program]
server_name = "program.example.com"
app = "./goapp"
request_timeout = "1s"
shutdown_timeout = "500ms"
graceful_timeout = "2s"
`))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	const host = "program.example.com"
	for range upgrades {
		r.upgrade()
	}
	old := r.site("program").Workers[0].PID
	begin := time.Now()
	if _, err := r.newVisitor().do(newRequest(t, http.MethodGet, host, "/stream?n=10000", nil)); err == nil {
		t.Error("an endless answer ended well")
	}
	eventually(t, "shutdown_timeout to pass", func() bool { return time.Since(begin) > 2500*time.Millisecond })
	if w := r.site("program").Workers; len(w) != 1 || w[0].PID != old || strings.Contains(r.siteLog("program"), "goroutine ") {
		t.Errorf("the handler returned in time, but its worker was replaced: %+v\n%s", w, r.siteLog("program"))
	}
	takesExactly(t, time.Second, func() time.Duration {
		start := time.Now()
		if a := r.get(host, "/sleep?ms=60000"); a.status != http.StatusGatewayTimeout {
			t.Errorf("status %d, want 504", a.status)
		}
		return time.Since(start)
	})
	eventually(t, "another worker", func() bool {
		w := r.site("program").Workers
		return slices.ContainsFunc(w, func(w status.Worker) bool { return w.State == "ready" && w.PID != old })
	})
	r.waitLog("program", `program/1 main\.sleep\(`)
	r.waitLog("program", fmt.Sprintf(`level=WARN msg="worker ended" worker=program/1 pid=%d reason=request_timeout exit="signal killed \(9\)" age=\S+ requests=[23] running="GET /sleep\?…"`, old))
	if a := r.get(host, "/"); a.status != 200 {
		t.Errorf("the next request: status %d", a.status)
	}
}
