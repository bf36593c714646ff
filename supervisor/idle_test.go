package supervisor

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/limits"
	"github.com/multisite/multisite/supervisor/pool"
)

const growing = `
import os

held = []

def application(environ, start_response):
    if not held:
        held.append(b"x" * 8_000_000)
    if environ["PATH_INFO"] == "/long":
        open(os.path.join(os.path.dirname(__file__), "end")).read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
`

// startGrowing returns a running site of three Python workers, each of which holds 8 MB
// since its first request.
func startGrowing(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	python, err := filepath.Abs("../testdata/django/.venv/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "app.py", growing)
	if err := syscall.Mkfifo(filepath.Join(dir, "end"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "sites.toml", "listen = \"127.0.0.1:0\"\n[site.growing]\nserver_name = \"growing.example.com\"\n"+
		"wsgi = \"app:application\"\npython_home = \""+python+"\"\nprocesses = 3\nwarmup = []\n")
	s, err := New(Options{Load: func() (*config.Config, error) { return config.Load(filepath.Join(dir, "sites.toml")) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, context.Background()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return s.sites.all()[0]
}

// visit requests the site and reports whether it answered.
func visit(ctx context.Context, t *site) bool { return visitPath(ctx, t, "/") }

func visitPath(ctx context.Context, t *site, path string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.super.Addrs()[0]+path, nil)
	if err != nil {
		return false
	}
	r.Host = "growing.example.com"
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// until calls step until it returns true.
func until(t *testing.T, what string, step func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(40 * time.Second); !step(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("timeout waiting for %s", what)
		}
	}
}

// workersOf returns the pids of the site's ready workers, and whether all have answered.
func workersOf(site *site) (pids []int, used bool) {
	used = true
	for _, w := range site.pool.Status().Workers {
		if w.Worker != nil && w.State != pool.Draining.String() {
			pids = append(pids, w.Worker.PID())
		}
		used = used && w.Requests > 0
	}
	return pids, used
}

// TestReplaceIdle_ReturnsMemoryAndLosesNoRequest: visitors come one after the other all
// the time, so one worker is busy and two are idle.
func TestReplaceIdle_ReturnsMemoryAndLosesNoRequest(t *testing.T) {
	site := startGrowing(t)
	useAll(t, site)
	before, _ := workersOf(site)
	visiting, stop := context.WithCancel(t.Context())
	var visitor sync.WaitGroup
	var good, bad int
	visitor.Go(func() {
		for visiting.Err() == nil {
			if visit(t.Context(), site) {
				good++
			} else {
				bad++
			}
		}
	})
	now := time.Now()
	until(t, "a worker to be replaced", func() bool {
		site.replaceIdle(now)
		now = now.Add(time.Minute)
		after, _ := workersOf(site)
		return len(after) == 3 && !slices.Equal(before, after)
	})
	until(t, "the gain to be recorded", func() bool {
		site.replaceIdle(now)
		now = now.Add(time.Minute)
		if err := site.super.journal.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		events, err := site.super.journal.Events(t.Context(), journal.Filter{Kind: "memory returned", Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return len(events) == 1 && strings.HasSuffix(events[0].Detail, "MB: a fresh worker has replaced an idle one")
	})
	stop()
	visitor.Wait()
	if bad > 0 || good == 0 {
		t.Errorf("%d requests were answered, %d not", good, bad)
	}
	if kept, _ := workersOf(site); !slices.ContainsFunc(kept, func(pid int) bool { return slices.Contains(before, pid) }) {
		t.Errorf("of the workers %v none was kept", before)
	}
}

// useAll visits until every worker has answered.
func useAll(t *testing.T, site *site) {
	t.Helper()
	until(t, "all workers to answer", func() bool {
		var visitors sync.WaitGroup
		for range 12 {
			visitors.Go(func() { visit(t.Context(), site) })
		}
		visitors.Wait()
		_, used := workersOf(site)
		return used
	})
}

// TestReplaceIdle_LetsALongRequestEnd: a worker that has had the same request for hours is
// not idle; to replace it would cut the request after graceful_timeout.
func TestReplaceIdle_LetsALongRequestEnd(t *testing.T) {
	site := startGrowing(t)
	useAll(t, site)
	answered := make(chan bool, 1)
	go func() { answered <- visitPath(t.Context(), site, "/long") }()
	var busy pool.WorkerStatus
	until(t, "the long request", func() bool {
		workers := site.pool.Status().Workers
		i := slices.IndexFunc(workers, func(w pool.WorkerStatus) bool { return w.Active == 1 })
		busy = workers[max(i, 0)]
		return i >= 0
	})
	for range 30 { // another worker is the one used last
		visit(t.Context(), site)
	}
	before, _ := workersOf(site)
	now := time.Now()
	until(t, "an idle worker to be replaced", func() bool {
		site.replaceIdle(now)
		now = now.Add(time.Minute)
		after, _ := workersOf(site)
		return len(after) == 3 && !slices.Equal(before, after)
	})
	for range 100 {
		site.replaceIdle(now)
		now = now.Add(time.Minute)
	}
	if !site.pool.Recycle(busy.Worker, pool.ReasonIdle) {
		t.Error("the worker with the long request was to be replaced")
	}
	end, err := os.OpenFile(filepath.Join(filepath.Dir(site.super.config().Path), "end"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
	if !<-answered {
		t.Error("the long request was cut")
	}
}

func TestReplaceIdle_CanBeTurnedOff(t *testing.T) {
	site := startGrowing(t)
	c := *site.config()
	c.ReplaceIdle = false
	site.setConfig(&c)
	site.replaceIdle(time.Now())
	if !reflect.DeepEqual(site.idle, limits.Idle{}) {
		t.Error("workers were looked at")
	}
}
