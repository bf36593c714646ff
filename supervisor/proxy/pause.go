package proxy

import (
	"context"
	"fmt"
	"os"
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
	return s.quiet(ctx)
}

// Resume undoes Pause.
func (s *Server) Resume() { s.loop.pause(false) }

// quiet waits until nobody has a request.
func (s *Server) quiet(ctx context.Context) error {
	tick := time.NewTicker(quietTick)
	defer tick.Stop()
	for {
		busy := 0
		s.loop.do(func() { busy = len(s.loop.busy) }) // then what it hands over is counted
		if busy == 0 && s.handed.quiet() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// IdleConn is a connection without a request under way.
type IdleConn struct {
	File     *os.File
	Buffered []byte // what was read of the next one
}

// Idle returns copies of the connections without a request, while paused.
func (s *Server) Idle() ([]IdleConn, error) {
	var clients []IdleConn
	var failed error
	add := func(fd int, begun []byte) {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			failed = fmt.Errorf("copy the connections of clients: %w", err)
			return
		}
		clients = append(clients, IdleConn{os.NewFile(uintptr(copied), "client"), begun})
	}
	s.loop.do(func() {
		for fd, c := range s.loop.clients {
			if c.site == nil {
				add(fd, c.begun)
			}
		}
	})
	if failed != nil {
		for _, c := range clients {
			c.File.Close()
		}
		return nil, failed
	}
	return clients, nil
}

// Adopt takes connections that were Idle in another process. The files stay the
// caller's.
func (s *Server) Adopt(clients []IdleConn) {
	for _, c := range clients {
		if fd, err := wire.Dup(c.File); err == nil {
			s.loop.adopt(fd, c.Buffered)
		}
	}
}

// adopt takes a connection, unless it was reset before it was ours.
func (l *Loop) adopt(fd int, begun []byte) {
	peer, err := unix.Getpeername(fd)
	if err != nil {
		unix.Close(fd)
		return
	}
	local, _ := unix.Getsockname(fd) // "" serves as well
	_ = unix.SetNonblock(fd, true)   // it is a socket
	l.take(fd, addrPort(peer), addrPort(local), begun)
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
			c.goOn()
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
