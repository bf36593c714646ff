// Package systemd speaks with the service manager that may have started us: it is
// told when the sites are ready, when they reload and when they end (sd_notify(3)),
// that we are alive as long as we are, and it may hand us sockets that it listens
// on (sd_listen_fds(3)). Where nobody asks for it in our environment, nothing is said.
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

// Notifier tells the service manager what state we are in. It never says ready
// before the first Ready, nor after Stopping.
type Notifier struct {
	log *slog.Logger

	mu sync.Mutex
	// mu protects state, and the order of messages
	state state
}

type state int

const (
	starting state = iota
	ready
	stopping
)

// NewNotifier returns a Notifier that has said nothing yet.
func NewNotifier(log *slog.Logger) *Notifier { return &Notifier{log: log} }

// Ready says that we have started. status is one line for a person.
func (n *Notifier) Ready(status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != stopping {
		n.state = ready
		n.sendLocked(daemon.SdNotifyReady, "STATUS="+oneLine(status))
	}
}

// Reloading says that a reload begins. reloaded is to be called at its end.
func (n *Notifier) Reloading() (reloaded func(status string)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != ready {
		return func(string) {}
	}
	n.sendLocked(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()), "STATUS=reloading")
	return n.Ready
}

// Stopping says that we end.
func (n *Notifier) Stopping(status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = stopping
	n.sendLocked(daemon.SdNotifyStopping, "STATUS="+oneLine(status))
}

// sendTime is how long a manager that does not read may hold us up.
const sendTime = time.Second

func (n *Notifier) sendLocked(lines ...string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := send(socket, strings.Join(lines, "\n")); err != nil {
		n.log.Warn("the service manager was not told", "message", lines[0], "error", err)
	}
}

// send is daemon.SdNotify, which would wait for ever.
func send(socket, message string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(sendTime)) // a socket has deadlines
	_, err = c.Write([]byte(message))
	return err
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// answerTime is how long a check may take before the log says that it hangs.
const answerTime = time.Second

// Watchdog says that we are alive, at once and twice in the time in which it must be
// said, until ctx ends: whenever check has returned. A check that hangs is the reason
// why we will be killed. At once, since the program before an upgrade may have said it
// half that time ago.
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

// checkOnce says that we are alive as soon as check has returned. At the end of ctx one
// that hangs is left behind.
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
			n.log.Error("the supervisor does not answer: the watchdog is not told until it does", "limit", answerTime)
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
