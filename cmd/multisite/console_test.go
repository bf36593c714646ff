package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/control"
)

// TestConsole_NobodyReads: an `up` whose terminal is stopped, or whose pipe is full, works
// like any other.
func TestConsole_NobodyReads(t *testing.T) {
	t.Parallel()
	fds := make([]int, 2)
	if err := unix.Pipe2(fds, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "read"), os.NewFile(uintptr(fds[1]), "write")
	defer r.Close()
	defer w.Close()
	size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	dir := newDir(t, notifiedSites)
	cmd := command(t, dir, "multisite", "up")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has exited, unless the test failed
	asked := control.NewClient(filepath.Join(dir, ".multisite"))
	eventually(t, "all sites to run", func() bool {
		st, err := asked.Status(t.Context())
		return err == nil && len(st.Sites) == 2 && st.Sites[0].Processes.Ready == 1 && st.Sites[1].Processes.Ready == 1
	})
	must := func(args ...string) {
		t.Helper()
		if got := runIn(t, dir, args...); got.code != 0 {
			t.Errorf("multisite %s: exit %d\n%s", strings.Join(args, " "), got.code, got.stderr)
		}
	}
	st, err := asked.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dead := st.Sites[0].Workers[0].PID
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another worker", func() bool {
		st, err := asked.Status(t.Context())
		return err == nil && len(st.Sites[0].Workers) == 1 && st.Sites[0].Workers[0].PID != dead && st.Sites[0].Processes.Ready == 1
	})
	must("scale", "subdomain1", "3")
	must("restart", "subdomain2")
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil { // log files were moved away
		t.Fatal(err)
	}
	must("reload")
	must("down")
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("up: %v", err)
		}
	case <-time.After(patience):
		t.Error("up does not end")
	}
	checkNothingLeft(t, dir)
}

// TestLogs_MovedAway: log files are moved away, as logrotate does; lines after SIGUSR1 are
// in new files.
func TestLogs_MovedAway(t *testing.T) {
	t.Parallel()
	r := up(t, "log_max_size = \"0B\"\n"+notifiedSites)
	r.must("restart", "subdomain1")
	log := filepath.Join(r.dir, ".multisite", "logs", "subdomain1.log")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.must("restart", "subdomain1")
	if got := r.must("logs", "subdomain1"); !strings.Contains(got, "generation=2") || !strings.Contains(got, "generation=3") {
		t.Errorf("logs prints:\n%s", got)
	}
	if got := r.siteLog("subdomain1"); strings.Contains(got, "generation=2") {
		t.Errorf("the new log has:\n%s", got)
	}
	if old := readFile(t, log+".1"); strings.Contains(old, "generation=3") {
		t.Errorf("the old log has:\n%s", old)
	}
}
