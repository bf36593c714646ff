package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestLoad_NobodySeesWorkersGo kills one busy worker after the other under load, then scales
// and restarts. Each request is answered.
func TestLoad_NobodySeesWorkersGo(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 3\n"+subdomain1)
	const connections = 16
	load := r.startLoad(host1, connections, "", "/hello/", "/probe/sleep/?ms=20")
	kills, until := 3, time.Time{}
	if os.Getenv("MULTISITE_LONG") != "" {
		until = time.Now().Add(time.Minute)
	}
	killed := 0
	for ; killed < kills || time.Now().Before(until); killed++ {
		kill(t, r.busyWorker("subdomain1"))
		// The next kill must not hit the same request again: it is repeated once.
		// When each connection has had two answers, it has been answered.
		before := r.site("subdomain1").Requests.Total
		eventually(t, "the worker to be replaced", func() bool {
			s := r.site("subdomain1")
			return s.Restarts == killed+1 && s.Processes.Ready == 3 && s.Requests.Total > before+2*connections
		})
	}
	r.must("scale", "subdomain1", "1")
	r.must("restart", "subdomain1")
	r.must("scale", "subdomain1", "2")
	load.stop()
	s := r.site("subdomain1")
	if s.Restarts != killed || s.State != "running" || s.Requests.Errors != 0 {
		t.Errorf("after %d kills: %d restarts, %s, %+v", killed, s.Restarts, s.State, s.Requests)
	}
}

// busyWorker waits for a worker that has a request and returns its pid.
func (r *running) busyWorker(site string) (pid int) {
	r.t.Helper()
	eventually(r.t, "a busy worker", func() bool {
		for _, w := range r.site(site).Workers {
			if w.State == "busy" {
				pid = w.PID
				return true
			}
		}
		return false
	})
	return pid
}

// waitSite waits until a site is in a state.
func (r *running) waitSite(site, state string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("site %s to be %s", site, state), func() bool { return r.site(site).State == state })
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
