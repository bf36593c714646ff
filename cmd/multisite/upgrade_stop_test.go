package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUpgrade_StopsMeanwhile: a supervisor that is to stop does so, even if an upgrade is
// about to happen and the service manager does not read.
func TestUpgrade_StopsMeanwhile(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	r := &running{t: t, dir: newDir(t, notifiedSites), out: &screen{}, log: &screen{}, env: []string{"NOTIFY_SOCKET=" + m.path}}
	r.start()
	m.want("READY=1\nSTATUS=2 sites ready")
	worker := r.site("subdomain1").Workers[0].PID
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil { // its requests then take long
		t.Fatal(err)
	}
	eventually(t, "the worker to be stopped", func() bool { return standsStill(t, worker) }) // or it could still answer
	fmt.Fprint(r.raw(), "GET / HTTP/1.1\r\nHost: subdomain1.localhost\r\n\r\n")
	eventually(t, "the worker to have the request", func() bool { return r.site("subdomain1").Requests.Active == 1 })
	upgrade := make(chan result)
	go func() { upgrade <- r.multisite("upgrade") }()
	m.want(`RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=reloading`)
	m.fill()
	for _, to := range []struct {
		pid int
		sig syscall.Signal
	}{{r.pid, syscall.SIGTERM}, {worker, syscall.SIGCONT}} {
		if err := syscall.Kill(to.pid, to.sig); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-upgrade; got.code != 1 || !strings.Contains(got.stderr, " cannot take over: the supervisor is going down; nothing has changed") {
		t.Errorf("upgrade: exit %d, %s%s", got.code, got.stdout, got.stderr)
	}
	select {
	case <-r.end.ch:
	case <-time.After(patience):
		t.Errorf("it runs on:\n%s", r.log.String())
		r.must("down")
		<-r.end.ch
	}
	if r.end.err != nil {
		t.Errorf("multisite up: %v", r.end.err)
	}
	checkNothingLeft(t, r.dir)
}

// standsStill reports whether every thread of a process is stopped.
func standsStill(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(threads, func(thread os.DirEntry) bool {
		id, err := strconv.Atoi(thread.Name())
		return err != nil || stateOf(t, id) != "T"
	})
}

// fill fills the queue of the manager's socket.
func (m *manager) fill() {
	m.t.Helper()
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	for err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond)) // cannot fail on a socket
		_, err = c.Write([]byte("WATCHDOG=1"))
	}
}
