package fastloop

import (
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/spool"
)

// finishSlowly lets a goroutine write what a client did not take at once.
func (c *client) finishSlowly(rest []byte) {
	l, s, admission, buffered, r := c.loop, c.site, c.admission.Take(), c.buffered, c.reply
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
		r.taken += int64(len(rest) - left)
		r.entry.Bytes, r.entry.Took = r.bodyTaken(), time.Since(r.entry.Time)
		s.Record(r.entry)
		switch {
		case left > 0:
			conn.Close()
		case r.last:
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
