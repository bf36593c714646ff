package fastloop

import (
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// finishSlowly lets a goroutine write what a client did not take at once.
func (c *client) finishSlowly(rest []byte, last bool, e site.Entry) {
	l, s, admission, buffered := c.loop, c.site, c.admission.Take(), c.buffered
	conn := NewSocket(c.remove(), c.peer, c.local)
	l.gaveWork = true
	l.conns.Note(conn, http.StateActive)
	waits, moved := l.o.Store.NewSpool(), make(chan struct{})
	go func() {
		defer close(moved)
		_, err := waits.Write(rest)
		waits.Finish(err)
	}()
	left := len(rest)
	go func() {
		defer l.conns.Note(conn, http.StateClosed)
		left -= l.writeSlowly(conn, waits)
		waits.Cancel()
		<-moved
		waits.Close()
		admission.End()
		e.Bytes, e.Took = max(e.Bytes-int64(left), 0), time.Since(e.Time)
		s.Record(e)
		switch {
		case left > 0:
			conn.Close()
		case last:
			_ = l.Linger(conn) // on an error it is closed
		default:
			_ = l.Reattach(conn, buffered) // on an error it is closed
		}
	}()
}

// writeSlowly returns how much of what waits the client has taken.
func (l *Loop) writeSlowly(conn *Socket, waits *spool.Spool) (written int) {
	for {
		p, err := waits.Next(func() {})
		if err != nil {
			return written
		}
		_ = conn.SetWriteDeadline(time.Now().Add(l.o.Timeouts.Client)) // cannot fail for a socket
		n, err := conn.Write(p[:min(len(p), spool.CopySize)])
		waits.Take(n)
		if written += n; err != nil {
			return written
		}
	}
}
