package fastloop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// maxSealed is how much of an answer is encrypted at once, and minSealed if the store has no
// memory for it. What the client's socket does not take of that waits in records, since
// encryption cannot be undone.
const (
	maxSealed = 60 << 10
	minSealed = 4 << 10
)

// maxRecords is how many records are read before others get their turn: a client may send a
// byte in each, and 16 changes of keys before it, which take longer than a request. maxOwn is
// how much waits for a client of what crypto/tls answers to those.
const (
	maxRecords = 32
	maxOwn     = 4 << 10
)

// secure is the TLS of a connection, after its handshake. It goes with the connection from
// the loop to a goroutine and back.
type secure struct {
	conn    *tls.Conn // reads and writes records
	records *records
	store   *spool.Store         // of the memory for what waits in records
	held    atomic.Int64         // bytes of it
	state   *tls.ConnectionState // what requests tell of it
}

func newSecure(conn *tls.Conn, r *records, store *spool.Store) *secure {
	s := conn.ConnectionState()
	return &secure{conn: conn, records: r, store: store, state: &tls.ConnectionState{
		Version: s.Version, HandshakeComplete: true, DidResume: s.DidResume, CipherSuite: s.CipherSuite, ServerName: s.ServerName, NegotiatedProtocol: s.NegotiatedProtocol,
	}}
}

// version returns the version of TLS: "TLS 1.3".
func (s *secure) version() string { return tls.VersionName(s.state.Version) }

// lend gives the connection to a goroutine, which waits on socket.
func (s *secure) lend(socket *Socket) {
	if s != nil {
		s.records.socket, socket.secure = socket, s
	}
}

// keep gives the connection to the loop.
func (s *secure) keep(fd int) {
	if s != nil {
		s.records.socket, s.records.fd = nil, fd
	}
}

// holds reports whether something encrypted waits until the client takes it.
func (s *secure) holds() bool { return s != nil && len(s.records.out) > 0 }

// read reads as unix.Read does from a socket that does not wait. more: something is left to
// read for which no event will come.
func (s *secure) read(b []byte) (n int, more bool, err error) {
	s.records.drained = false
	for records := 0; records < maxRecords && n < len(b) && err == nil; records++ {
		var read int
		read, err = s.conn.Read(b[n:])
		n += read
	}
	if s.holds() { // an answer of crypto/tls itself
		_ = s.flush() // what is left waits for writable; another error comes again
		if len(s.records.out) > maxOwn {
			return 0, false, unix.EPROTO
		}
	}
	switch {
	case err == nil:
		return n, true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		if n == 0 {
			return 0, false, unix.EAGAIN
		}
		return n, false, nil
	case n > 0: // the error comes again
		return n, true, nil
	case err == io.EOF:
		return 0, false, nil
	}
	return 0, false, unix.EPROTO
}

// write encrypts and writes pieces, as unix.Writev does to a socket that does not wait.
// plain and sealed are memory for that.
func (s *secure) write(pieces [][]byte, plain, sealed *[]byte) (n int, err error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	limit := minSealed
	if s.store.Take(spool.AnswerMemory) {
		limit = maxSealed
		s.held.Store(spool.AnswerMemory)
		defer s.free()
	}
	for !s.holds() {
		p := gather(pieces, n, limit, plain)
		if len(p) == 0 {
			break
		}
		s.records.out = (*sealed)[:0]
		_, err := s.conn.Write(p)
		out := s.records.out
		s.records.out, *sealed = nil, out[:0]
		if err != nil {
			return n, unix.EPROTO
		}
		n += len(p)
		written, err := wire.WriteNow(s.records.fd, out)
		if err != nil && err != unix.EAGAIN {
			return n, err
		}
		s.records.out = bytes.Clone(out[max(written, 0):])
	}
	return n, nil
}

// flush writes what waits, as far as the client takes it.
func (s *secure) flush() error {
	err := s.records.flush()
	s.free()
	return err
}

// free gives back memory that is not needed.
func (s *secure) free() {
	if !s.holds() {
		s.drop()
	}
}

// drop gives back the memory for what waits. The connection has ended, or nothing does.
func (s *secure) drop() {
	if s == nil {
		return
	}
	if held := s.held.Swap(0); held > 0 {
		s.store.Give(int(held))
	}
}

// gather returns up to limit bytes of pieces, after the first from bytes. It copies them
// to memory if they are of several pieces.
func gather(pieces [][]byte, from, limit int, memory *[]byte) []byte {
	all := (*memory)[:0]
	for i, p := range pieces {
		skipped := min(from, len(p))
		from -= skipped
		p = p[skipped:]
		p = p[:min(len(p), limit-len(all))]
		if len(all) == 0 && (i == len(pieces)-1 || len(p) == limit) {
			return p
		}
		all = append(all, p...)
	}
	*memory = all
	return all
}

// bye tells the client that nothing more comes. It may take a part of that, or nothing.
func (s *secure) bye() {
	if s != nil {
		_ = s.conn.CloseWrite()
		_ = s.flush()
	}
}

// read reads of the client, as unix.Read does. more: something may be left to read for which
// no event will come.
func (c *client) read(b []byte) (n int, more bool, err error) {
	if c.secure != nil {
		return c.secure.read(b)
	}
	n, err = wire.ReadNow(c.fd, b)
	return n, n == len(b), err
}

// write writes pieces to the client, as unix.Writev does.
func (c *client) write(pieces ...[]byte) (int, error) {
	switch {
	case c.secure != nil:
		return c.secure.write(pieces, &c.loop.plain, &c.loop.sealed)
	case len(pieces) > 1: // the first or last of them may be empty
		return wire.WritevNow(c.fd, pieces)
	case len(pieces[0]) > 0:
		return wire.WriteNow(c.fd, pieces[0])
	}
	return 0, nil
}

// promiseTLS adds to an answer that the site always speaks TLS, unless the answer says
// something else.
func (c *client) promiseTLS(a *wire.Answer) {
	const name = "Strict-Transport-Security"
	if c.site.HSTS == 0 || c.request.Scheme != "https" || slices.ContainsFunc(a.Fields, func(f [2]string) bool { return strings.EqualFold(f[0], name) }) {
		return
	}
	a.Fields = append(slices.Clip(a.Fields), [2]string{name, c.site.StrictTransport()})
}

// waits reports whether something waits until the client takes it.
func (c *client) waits() bool { return !c.output.isEmpty() || c.secure.holds() }
