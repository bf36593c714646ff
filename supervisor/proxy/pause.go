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

// quiet waits until no request is under way.
func (s *Server) quiet(ctx context.Context) error {
	tick := time.NewTicker(quietTick)
	defer tick.Stop()
	for {
		busy := 0
		s.loop.do(func() { busy = len(s.loop.busy) }) // then what it hands over is counted
		if busy == 0 && s.handed.empty() {
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
		if conn, err := net.FileConn(f); err == nil {
			_ = s.loop.takeBack(conn) // or it is closed
		}
	}
}

// pause stops or resumes accepting and reading.
func (l *Loop) pause(on bool) {
	l.do(func() {
		l.paused = on
		for fd, accepting := range l.accepting {
			if on && accepting {
				l.Unwatch(fd)
				l.accepting[fd] = false
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

// census is the connections of which not the Loop's thread but another goroutine
// has a request.
type census struct {
	mu   sync.Mutex
	busy map[net.Conn]bool // mu protects it
}

func (c *census) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		c.busy[conn] = true
	} else {
		delete(c.busy, conn)
	}
}

// close closes all of them.
func (c *census) close() {
	c.mu.Lock()
	conns := slices.Collect(maps.Keys(c.busy))
	c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

func (c *census) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}
