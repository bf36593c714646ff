// Package systemd talks to the service manager. It notifies it when the sites are
// ready, when they reload and when they stop, keeps its watchdog alive (sd_notify(3)),
// and receives the sockets that it listens on (sd_listen_fds(3)). If the environment
// names no service manager, it does nothing.
package systemd

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier sends the state of the supervisor to the service manager. It sends nothing
// about reloads before the first Ready, and no READY=1 after Stopping.
type Notifier struct {
	log *slog.Logger

	mu sync.Mutex
	// mu protects state and is held while a message is sent, which keeps their order
	state state
}

type state int

const (
	starting state = iota
	ready
	stopping
)

// NewNotifier returns a Notifier that has sent nothing yet.
func NewNotifier(log *slog.Logger) *Notifier { return &Notifier{log: log} }

// Ready reports that the supervisor has started. status is one line for a person.
func (n *Notifier) Ready(status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != stopping {
		n.state = ready
		n.sendLocked(daemon.SdNotifyReady, "STATUS="+oneLine(status))
	}
}

// Reloading reports that a reload begins. The caller calls reloaded when it is over.
func (n *Notifier) Reloading() (reloaded func(status string)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != ready {
		return func(string) {}
	}
	n.sendLocked(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()), "STATUS=reloading")
	return n.Ready
}

// Stopping reports that the supervisor is stopping.
func (n *Notifier) Stopping(status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = stopping
	n.sendLocked(daemon.SdNotifyStopping, "STATUS="+oneLine(status))
}

// sendTime bounds how long send waits for a service manager that does not read.
const sendTime = time.Second

func (n *Notifier) sendLocked(lines ...string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := send(socket, strings.Join(lines, "\n")); err != nil {
		n.log.Warn("service manager not notified", "message", lines[0], "error", err)
	}
}

// send does what daemon.SdNotify does, which could block forever.
func send(socket, message string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(sendTime)) // cannot fail on a socket
	_, err = c.Write([]byte(message))
	return err
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// answerTime is how long a check may take before checkOnce logs that it hangs.
const answerTime = time.Second

// Watchdog notifies the watchdog of the service manager until ctx is done. It runs check
// twice in each watchdog interval and notifies when check returns; if check hangs, the
// service manager will kill this process. The first check runs at once, because before
// an upgrade the last notification may be half an interval old.
func (n *Notifier) Watchdog(ctx context.Context, check func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("no watchdog", "error", err)
	}
	if interval == 0 {
		return
	}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for ctx.Err() == nil {
		n.checkOnce(ctx, check)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// checkOnce runs check and notifies the watchdog when it returns. When ctx is done it
// returns without waiting for check.
func (n *Notifier) checkOnce(ctx context.Context, check func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		check()
	}()
	late := time.NewTimer(answerTime)
	defer late.Stop()
	for {
		select {
		case <-done:
			n.alive()
			return
		case <-late.C:
			n.log.Error("supervisor does not answer; watchdog not notified until it does", "limit", answerTime)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Notifier) alive() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sendLocked(daemon.SdNotifyWatchdog)
}
