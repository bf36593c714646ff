package proxy

import (
	"context"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// quietTick is how often it is looked whether all requests are answered.
const quietTick = 2 * time.Millisecond

// Pause stops accepting connections and reading requests, and returns when all that
// were read are answered, or with the error of ctx. Nobody is refused meanwhile:
// who connects or asks waits for Resume, or for another process that takes over
// the listeners and the Idle connections.
func (s *Server) Pause(ctx context.Context) error {
	s.loop.pause(true)
	s.handed.pause(true)
	return s.quiet(ctx, s.handed.gone)
}

// Resume undoes Pause.
func (s *Server) Resume() {
	s.handed.pause(false)
	s.loop.pause(false)
}

// quiet waits until the Loop has no request, and handed is true of the others.
func (s *Server) quiet(ctx context.Context, handed func() bool) error {
	tick := time.NewTicker(quietTick)
	defer tick.Stop()
	for {
		busy := 0
		s.loop.do(func() { busy = len(s.loop.busy) }) // then what it hands over is counted
		if busy == 0 && handed() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Idle returns copies of the connections without a request, while paused.
func (s *Server) Idle() []*os.File {
	var files []*os.File
	s.loop.do(func() {
		for fd, c := range s.loop.clients {
			if c.site != nil {
				continue
			}
			if copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
				files = append(files, os.NewFile(uintptr(copied), "client"))
			}
		}
	})
	return files
}

// Adopt takes connections that were Idle in another process. The files stay the
// caller's.
func (s *Server) Adopt(files []*os.File) {
	for _, f := range files {
		if fd, err := wire.Dup(f); err == nil {
			s.loop.adopt(fd)
		}
	}
}

// adopt takes a connection, unless it was reset before it was ours.
func (l *Loop) adopt(fd int) {
	peer, err := unix.Getpeername(fd)
	if err != nil {
		unix.Close(fd)
		return
	}
	local, _ := unix.Getsockname(fd) // "" serves as well
	_ = unix.SetNonblock(fd, true)   // it is a socket
	l.take(fd, addrPort(peer), addrPort(local))
}

// pause stops or resumes accepting and reading.
func (l *Loop) pause(on bool) {
	l.do(func() {
		l.paused = on
		for fd, accepting := range l.accepting {
			if on && accepting {
				l.hold(fd)
			}
		}
		l.resume()
		for _, c := range l.clients {
			if c.unread && c.site == nil && !on {
				c.unread = false
				c.readable(false)
			}
		}
	})
}

// do calls f on the thread and returns when it has ended.
func (l *Loop) do(f func()) {
	done := make(chan struct{})
	if l.post(func() { defer close(done); f() }) {
		<-done
	}
}

// census is the connections that the Loop's thread does not have: another goroutine
// has a request of them, or waits for the next.
type census struct {
	mu sync.Mutex
	// mu protects all below
	busy   map[net.Conn]bool
	idle   map[*handed]bool
	paused bool
}

func newCensus() *census { return &census{busy: map[net.Conn]bool{}, idle: map[*handed]bool{}} }

func (c *census) note(conn net.Conn, state http.ConnState) {
	h, _ := conn.(*handed)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, conn)
	delete(c.idle, h)
	switch {
	case state == http.StateNew || state == http.StateActive:
		c.busy[conn] = true
	case state == http.StateIdle && h != nil:
		c.idle[h] = true
	}
}

// pause lets those that are idle come back to the Loop.
func (c *census) pause(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = on
	for h := range c.idle {
		if on {
			_ = h.socket.SetReadDeadline(time.Unix(1, 0)) // a socket has deadlines
		}
	}
}

func (c *census) isPaused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}

// close closes those that have a request.
func (c *census) close() {
	c.mu.Lock()
	conns := slices.Collect(maps.Keys(c.busy))
	c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// quiet tells that none has a request.
func (c *census) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}

// gone tells that there are none.
func (c *census) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0 && len(c.idle) == 0
}
