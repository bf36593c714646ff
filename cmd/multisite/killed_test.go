package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// killedSites start processes in every way that lets them outlive the process that started
// them.
const killedSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "starts.wsgi"
[site.forked]
server_name = "forked.example.com"
processes = 2
[site.forked.service.pool]
command = ["sh", "-c", "sleep 1000 & exec sleep 1000"]
[site.plain]
server_name = "plain.example.com"
preload = false
`

const startsScript = `
import os, subprocess, time

def application(environ, start_response):
    path, pid = environ["PATH_INFO"], 0
    if path == "/fork":
        pid = os.fork()
        if pid == 0:
            os.setsid()
            time.sleep(1000)
    elif path != "/":
        pid = subprocess.Popen(["sleep", "1000"], start_new_session=path == "/session").pid
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(pid).encode()]
`

// TestKilled_NothingIsLeftForLong: the children of a killed supervisor die with it. The
// processes that they had started, and no others, end when the next supervisor starts.
func TestKilled_NothingIsLeftForLong(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, killedSites))
	if err := os.WriteFile(filepath.Join(r.dir, "starts.wsgi"), []byte(startsScript), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(r.finish)
	for _, site := range []string{"forked", "plain"} {
		for _, path := range []string{"/group", "/session", "/fork"} {
			if a := r.get(site+".example.com", path); a.status != 200 {
				t.Fatalf("%s%s: status %d", site, path, a.status)
			}
		}
	}
	stranger := exec.Command("sleep", "1000")
	stranger.Env = []string{"MULTISITE_LOCK=0:0"} // of another supervisor
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stranger.Process.Kill() // it may have been killed
		_ = stranger.Wait()
	})
	r.wantKilledClean(6 + 1)
	if command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", stranger.Process.Pid)); err != nil || len(command) == 0 {
		t.Errorf("a child of another supervisor was killed (%v)", err)
	}
}

// wantKilledClean kills the supervisor and starts it again. Between the two at least so
// many processes of its children are left, and afterwards none.
func (r *running) wantKilledClean(least int) {
	r.t.Helper()
	before := leftProcesses(r.t, r.dir)
	kill(r.t, r.pid)
	<-r.end.ch
	if left := leftProcesses(r.t, r.dir); len(left) < least {
		r.t.Errorf("the test proves nothing, %d processes are left:\n%s", len(left), strings.Join(left, "\n"))
	}
	r.out, r.log = &screen{}, &screen{}
	begin := time.Now()
	r.start()
	if took := time.Since(begin); took > 20*time.Second {
		r.t.Errorf("the next start took %v", took)
	}
	for _, process := range leftProcesses(r.t, r.dir) {
		if slices.Contains(before, process) {
			r.t.Errorf("still there: %s", process)
		}
	}
}
