package systemd

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// manager is the socket of a service manager. next returns "" when nothing was sent.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return func() string {
		b := make([]byte, 4096)
		n, err := 0, error(nil)
		_ = raw.Read(func(fd uintptr) bool {
			n, err = unix.Read(int(fd), b)
			return true
		})
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		return string(b[:max(n, 0)])
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

// TestNotifier_ManagerThatDoesNotRead: a full socket blocks for a second at most.
func TestNotifier_ManagerThatDoesNotRead(t *testing.T) {
	manager(t)
	var log strings.Builder
	n := NewNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	for log.Len() == 0 { // until its queue is full
		n.Ready("")
	}
	if !strings.Contains(log.String(), "service manager not notified") {
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

// wantAlive reads so many notifications of the watchdog.
func wantAlive(t *testing.T, next func() string, want int) {
	t.Helper()
	var told []string
	for m := next(); m != ""; m = next() {
		told = append(told, m)
	}
	if got := strings.Join(told, ","); got != strings.TrimSuffix(strings.Repeat("WATCHDOG=1,", want), ",") {
		t.Errorf("told %q, want %d times that it is alive", got, want)
	}
}

// TestNotifier_Watchdog: it is notified at the start, since before an upgrade the last
// notification may be old; then whenever a check returns, however long it took; and not
// while a check hangs.
func TestNotifier_Watchdog(t *testing.T) {
	next := manager(t)
	const interval = time.Minute
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(interval.Microseconds(), 10))
	t.Setenv("WATCHDOG_PID", "")
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		n := NewNotifier(slog.New(slog.NewTextHandler(&log, nil)))
		checks, hang, done := 0, make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(done)
			n.Watchdog(ctx, func() {
				if checks++; checks == 4 {
					<-hang
				}
			})
		}()
		sleep := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		synctest.Wait()
		wantAlive(t, next, 1)
		sleep(interval)
		wantAlive(t, next, 2)
		sleep(interval/2 + 2*answerTime)
		wantAlive(t, next, 0)
		close(hang)
		synctest.Wait()
		wantAlive(t, next, 1)
		cancel()
		<-done
		if n := strings.Count(log.String(), "does not answer"); n != 1 {
			t.Errorf("logged %d times: %q", n, log.String())
		}
	})
}
