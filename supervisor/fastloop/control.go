package fastloop

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/worker/wire"
)

// Done returns a channel that is closed when Run has returned.
func (l *Loop) Done() <-chan struct{} { return l.done }

// Probe returns when the loop's thread has run it. If the thread is stuck, no site is
// served.
func (l *Loop) Probe() { l.do(func() {}) }

// Shutdown accepts no more connections, closes idle ones, and lets Run return when all
// requests are answered.
func (l *Loop) Shutdown() { l.stop(false) }

// Close is Shutdown that detaches the requests under way and waits for none.
func (l *Loop) Close() { l.stop(true) }

func (l *Loop) stop(abrupt bool) {
	l.post(func() {
		l.mu.Lock()
		l.closing, l.abrupt = true, l.abrupt || abrupt
		l.mu.Unlock()
		l.stopListening()
		for _, all := range l.handshakes.running {
			for _, h := range all {
				h.socket.Close()
			}
		}
		for _, c := range l.clients {
			switch {
			case c.site != nil && abrupt && c.reply.begun:
				c.leave(time.Now())
			case c.site != nil && abrupt:
				c.detach()
			case c.site == nil && (abrupt || l.paused || c.hello): // a handshake that begins now would be waited for
				c.close()
			case c.site == nil:
				c.dismiss()
			}
		}
		if abrupt {
			for _, gone := range l.handedOver {
				gone()
			}
			l.closeLingering(time.Now().Add(time.Hour))
		}
	})
}

// dismiss closes an idle connection, but first answers what has already arrived.
func (c *client) dismiss() {
	if c.goOn(); c.mayRead() {
		c.readable(false)
	}
	if c.mayRead() {
		c.close()
	}
}

// Pause stops accepting connections and reading requests, and returns when all that were
// read are answered, or with the cause of ctx's end. Nobody is refused meanwhile: clients
// that connect or send wait for Resume, or for the next process, which takes over the
// listeners and the Idle connections.
func (l *Loop) Pause(ctx context.Context) error {
	l.setPaused(true)
	idle := make(chan struct{})
	if !l.post(func() { l.idleWaiters = append(l.idleWaiters, idle) }) {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-l.done: // Run has returned: no request is under way
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Resume undoes Pause.
func (l *Loop) Resume() { l.setPaused(false) }

func (l *Loop) setPaused(on bool) {
	l.do(func() {
		l.paused = on
		for fd, accepting := range l.accepting {
			if on && accepting {
				l.hold(fd)
			}
		}
		l.resumeAccepting()
		l.shakeWaiting()
		for _, c := range l.clients {
			c.goOn()
		}
	})
}

// IdleConn is a connection without a request under way.
type IdleConn struct {
	File     *os.File
	Buffered []byte // what was read of its next request
	TLS      bool   // its handshake has not begun
}

// Idle returns copies of the connections without a request, while paused.
func (l *Loop) Idle() ([]IdleConn, error) {
	var conns []IdleConn
	var failed error
	l.do(func() {
		for fd, c := range l.clients {
			if c.site != nil || c.secure != nil {
				continue
			}
			copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				failed = fmt.Errorf("copy the connections of clients: %w", err)
				return
			}
			conns = append(conns, IdleConn{os.NewFile(uintptr(copied), "client"), c.buffered, c.hello})
		}
	})
	if failed != nil {
		for _, c := range conns {
			c.File.Close()
		}
		return nil, failed
	}
	return conns, nil
}

// Adopt takes connections that were Idle in another process. The files stay the
// caller's.
func (l *Loop) Adopt(conns []IdleConn) {
	for _, c := range conns {
		if fd, err := wire.Dup(c.File); err == nil {
			l.adopt(fd, c.Buffered, c.TLS)
		}
	}
}

// adopt takes a connection, unless the client has reset it by now.
func (l *Loop) adopt(fd int, buffered []byte, hello bool) {
	peer, err := syscall.Getpeername(fd)
	if err != nil {
		unix.Close(fd)
		return
	}
	_ = unix.SetNonblock(fd, true) // cannot fail for a socket
	from := addrPort(peer)
	l.take(fd, from, l.seats.enterAgain(from, httphead.IsTrusted(from, l.o.TrustedProxies)), buffered, nil, hello)
}
