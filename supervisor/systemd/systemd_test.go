package systemd

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manager is the socket of a service manager.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		b := make([]byte, 4096)
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second)) // a socket has deadlines
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestNotifier_Order(t *testing.T) {
	next := manager(t)
	n := NewNotifier(slog.New(slog.DiscardHandler))
	n.Reloading()("too early")
	n.Ready("all\n  well")
	reloaded := n.Reloading()
	reloaded("better")
	late := n.Reloading()
	n.Stopping("draining")
	late("too late")
	n.Ready("too late")
	n.alive()
	for _, want := range []string{
		"READY=1\nSTATUS=all well", "RELOADING=1\nMONOTONIC_USEC=…\nSTATUS=reloading", "READY=1\nSTATUS=better",
		"RELOADING=1\nMONOTONIC_USEC=…\nSTATUS=reloading", "STOPPING=1\nSTATUS=draining", "WATCHDOG=1",
	} {
		got := next()
		if before, after, found := strings.Cut(got, "_USEC="); found {
			_, rest, _ := strings.Cut(after, "\n")
			got = before + "_USEC=…\n" + rest
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNotifier_ManagerThatDoesNotRead holds nobody up for long.
func TestNotifier_ManagerThatDoesNotRead(t *testing.T) {
	manager(t)
	var log strings.Builder
	n := NewNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	for log.Len() == 0 { // until its queue is full
		n.Ready("")
	}
	if !strings.Contains(log.String(), "the service manager was not told") {
		t.Errorf("logged %s", &log)
	}
}

func TestNotifier_NobodyAsks(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var log strings.Builder
	n := NewNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	n.Ready("")
	n.Stopping("")
	n.Watchdog(t.Context(), func() { t.Error("checked for nobody") })
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
}

// TestNotifier_Watchdog: it is told while the check returns, not while it hangs,
// and again when it does not hang any more.
func TestNotifier_Watchdog(t *testing.T) {
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	var log strings.Builder
	n := NewNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	checks, hang, done := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		n.Watchdog(ctx, func() {
			if checks++; checks == 3 {
				<-hang
			}
		})
	}()
	told := 0
	for ; told < 2; told++ {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	begin := time.Now()
	time.AfterFunc(answerTime+answerTime/2, func() { close(hang) })
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	if took := time.Since(begin); took < answerTime {
		t.Errorf("told after %v, while the check hung", took)
	}
	cancel()
	<-done
	if !strings.Contains(log.String(), "does not answer") {
		t.Errorf("logged %q", log.String())
	}
}
