package main

import (
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hangingSites are sites of one code base, two of which hang while they load, with more
// workers than may start at once.
const hangingSites = `
[site.a-hangs]
server_name = "a.example.com"
home = "src"
settings = "hangs"
processes = 40
startup_timeout = "60s"
[site.b-hangs-alone]
server_name = "b.example.com"
home = "src"
settings = "hangs"
preload = false
processes = 40
startup_timeout = "60s"
[site.c-broken]
server_name = "c.example.com"
settings = "no_such_settings"
processes = 40
[site.go]
server_name = "go.example.com"
settings = "builtin:subdomain1"
` + subdomain1

// TestStart_OneThatHangsHoldsUpNone: sites start at the same time.
func TestStart_OneThatHangsHoldsUpNone(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, pythonSites+hangingSites))
	r.write(t, "src/hangs.py", "import time\ntime.sleep(1000)\n")
	begin := time.Now()
	r.begin()
	eventually(t, "the others to be ready", func() bool {
		return r.site("subdomain1").State == "running" && r.site("go").State == "running" && r.site("c-broken").State == "failed"
	})
	if took := time.Since(begin); took > 30*time.Second { // half the startup_timeout of those that hang
		t.Errorf("the others were ready after %v", took)
	}
	if n := strings.Count(r.siteLog("c-broken"), `msg="worker failed to start"`); n > 5 { // it is retried now and then
		t.Errorf("one reason was logged %d times", n)
	}
	r.addr = r.status().Supervisor.Listen[0]
	r.wantHello()
	if s := r.site("a-hangs"); s.State != "starting" {
		t.Errorf("the site that hangs is %s", s.State)
	}
	r.finish()
}

// TestStop_TheSecondSignalEndsAtOnce: the first signal waits for a request that takes very
// long.
func TestStop_TheSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	sites := pythonSites + "processes = 1\ngraceful_timeout = \"100s\"\nshutdown_timeout = \"100s\"\n" + subdomain1 + `
[site.subdomain1.service.stubborn]
command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]
`
	r := newRunning(t, newDir(t, sites))
	r.start()
	r.waitLog("subdomain1", "deaf$")
	asked := make(chan error, 1)
	visitor := r.newVisitor()
	go func() {
		_, err := visitor.do(newRequest(t, http.MethodGet, host1, "/probe/sleep/?ms=90000", nil))
		asked <- err
	}()
	eventually(t, "the worker to have the request", func() bool { return r.site("subdomain1").Requests.Active == 1 })
	if err := syscall.Kill(r.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the front door to close", func() bool {
		conn, err := net.Dial("tcp", r.addr) // a request that came first would wait for the worker
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if s := r.site("subdomain1"); r.hasEnded() || s.Requests.Active != 1 {
		t.Errorf("after one signal: %+v", s.Requests)
	}
	begin := time.Now()
	if err := syscall.Kill(r.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-r.end.ch
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("after the second signal it took %v", took)
	}
	if err := <-asked; err == nil {
		t.Error("the request was answered")
	}
	if r.end.err != nil {
		t.Errorf("multisite up: %v", r.end.err)
	}
	checkNothingLeft(t, r.dir)
	checkNoCrash(t, r.log.String())
}
