package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/multisite/multisite/supervisor/journal"
)

const endSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
[site.slow]
server_name = "slow.example.com"
wsgi = "slow.wsgi"
preload = false
[site.busy]
server_name = "busy.example.com"
wsgi = "limits.wsgi"
`

const slowScript = `
import os, sys, time
if os.path.exists("hang"):
    sys.stderr.write("hanging\n")
    time.sleep(60)
def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]
`

// TestEnds_ThatNobodyWouldExpect: exits of processes that were never ready, and of those
// that die while they drain.
func TestEnds_ThatNobodyWouldExpect(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, endSites))
	writeFile(t, filepath.Join(r.dir, "slow.wsgi"), slowScript)
	writeFile(t, filepath.Join(r.dir, "limits.wsgi"), limitsScript)
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	t.Run("a crash on the way out", func(t *testing.T) { crashDraining(t, r.in(t)) })
	t.Run("given up while it started", func(t *testing.T) { givenUp(t, r.in(t)) })
}

func crashDraining(t *testing.T, r *running) {
	v := r.newVisitor()
	var calls sync.WaitGroup
	defer calls.Wait()
	calls.Go(func() { _, _ = v.do(newRequest(t, "POST", "busy.example.com", "/sleep", nil)) }) // 502
	eventually(t, "the request", func() bool { return r.site("busy").Requests.Active == 1 })
	old := r.site("busy").Workers[0].PID
	calls.Go(func() { r.multisite("restart", "busy") })
	eventually(t, "the worker to drain", func() bool {
		return strings.Contains(fmt.Sprint(r.site("busy").Workers), "draining")
	})
	if err := syscall.Kill(old, syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	r.waitLog("busy", fmt.Sprintf(`level=ERROR msg="worker ended" worker=busy/1 pid=%d reason=crash exit="signal segmentation fault \(11\)" age=\S+ requests=[01] running="POST /sleep"`, old))
}

func givenUp(t *testing.T, r *running) {
	const line = `level=INFO msg="worker ended" worker=slow/%d pid=[1-9]\d* reason=%s exit="signal killed \(9\) before it was ready" age=\d\S+ requests=0`
	writeFile(t, filepath.Join(r.dir, "hang"), "")
	var calls sync.WaitGroup
	defer calls.Wait()
	calls.Go(func() { r.multisite("scale", "slow=2") })
	r.waitLog("slow", ` slow/2 hanging$`)
	r.must("scale", "slow=1")
	r.waitLog("slow", fmt.Sprintf(line, 2, "scale"))
	last := regexp.MustCompile(`^slow/2 pid [1-9]\d*: scale, signal killed \(9\) before it was ready, after 0 requests in `)
	if said := r.site("slow").LastExit; !last.MatchString(said) {
		t.Errorf("status says %q", said)
	}
	calls.Go(func() { r.multisite("restart", "slow") })
	r.waitLog("slow", ` slow/1 hanging$`)
	r.must("down")
	<-r.end.ch
	r.waitLog("slow", fmt.Sprintf(line, 1, `"supervisor stop"`))
	for _, want := range []string{"slow/2 scale", "slow/1 supervisor stop"} {
		if !journalHas(t, r, want) {
			t.Errorf("the journal has no %s before it was ready", want)
		}
	}
}

// journalHas reports whether the journal has the exit, for this reason, of a worker that
// was never ready.
func journalHas(t *testing.T, r *running, want string) bool {
	j, err := journal.Open(filepath.Join(r.dir, ".multisite", "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	events, err := j.Events(t.Context(), journal.Filter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Worker+" "+e.Reason == want && e.PID > 0 && strings.Contains(e.Detail, "before it was ready, after 0 requests in ") {
			return true
		}
	}
	return false
}

// TestStart_SitesThatHangHoldUpNobody: a worker of another site that dies is replaced, even
// if more sites hang at their start than workers may start at once.
func TestStart_SitesThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	sites := "listen = \"127.0.0.1:0\"\n[site.healthy]\nserver_name = \"healthy.example.com\"\napp = \"./goapp\"\n"
	for i := range 2*runtime.GOMAXPROCS(0) + 3 {
		sites += fmt.Sprintf("[site.hangs%d]\nserver_name = \"hangs%[1]d.example.com\"\napp = \"./hangs\"\n", i)
	}
	r := newRunning(t, newDir(t, sites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	if err := os.WriteFile(filepath.Join(r.dir, "hangs"), []byte("#!/bin/sh\necho hangs\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.begin()
	t.Cleanup(func() { endIgnoringErrors(r) })
	r.waitSite("healthy", "running")
	for i := range 2*runtime.GOMAXPROCS(0) + 3 {
		r.waitLog(fmt.Sprintf("hangs%d", i), " hangs$")
	}
	old := r.site("healthy").Workers[0].PID
	kill(t, old)
	eventually(t, "another worker", func() bool {
		w := r.site("healthy").Workers
		return len(w) == 1 && w[0].State == "ready" && w[0].PID != old
	})
}
