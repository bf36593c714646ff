package fastloop

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// drainTime is how long a worker waits for a client that does not take its answer as fast
// as it comes. Then goroutines have both.
const drainTime = 10 * time.Millisecond

// mustBeHandedOver reports whether an answer takes too long: its worker waits for the
// client, or pauses, or its time is up.
func (c *client) mustBeHandedOver(now time.Time) bool {
	if !c.reply.begun || c.reply.ended {
		return false
	}
	limit := c.site.RequestTimeout
	return now.Sub(c.reply.came) > DetachAfter || limit > 0 && now.Sub(c.sent) > limit ||
		c.waits() && now.Sub(c.reply.came) > drainTime
}

// slow is an answer that goroutines carry on with: one moves it from the worker to the
// spool, another from there to the client.
type slow struct {
	loop      *Loop
	conn      *Socket
	fd        int // of conn, while that is open
	site      *site.Site
	admission site.Admission
	buffered  []byte // was read of the client's next request
	what      string // the request
	reply     reply
	direct    site.Direct // has the rest of the answer, unless the reply has ended
	sent      time.Time
	waits     *spool.Spool
	here      []byte        // what is here of the answer, for waits
	code      coding.Coding // in which the body is sent; Identity: it comes as it is sent
	plain     []byte        // what is here of a body that is to be encoded
	length    int64         // of that body, as the worker says; -1: it does not
	moved     chan struct{} // closed when all of the answer is in waits
	ended     atomic.Bool   // the worker has
}

// handOver lets goroutines carry on with an answer of which rest does not fit the output.
func (c *client) handOver(rest [][]byte) {
	all, err := c.collect(rest)
	if err != nil {
		c.cut(err, time.Now())
		return
	}
	s := c.newSlow()
	s.admission, s.reply, s.here = c.admission.Take(), c.reply, all
	s.start(c)
}

// newSlow returns an answer without what is here of it.
func (c *client) newSlow() *slow {
	return &slow{
		loop: c.loop, site: c.site, buffered: c.buffered, what: c.request.what(),
		direct: c.direct, sent: c.sent, waits: c.loop.o.Store.NewSpool(), moved: make(chan struct{}),
	}
}

// collect returns a copy of what waits for the client, and rest. If the worker has begun
// the next request, it also reads the rest of this answer.
func (c *client) collect(rest [][]byte) (all []byte, err error) {
	add := func(pieces [][]byte) {
		for _, p := range pieces {
			all = append(all, p...)
		}
	}
	add([][]byte{c.output.block[c.output.start:c.output.end]})
	add(rest)
	if c.reply.ended || c.recallFollowers() {
		return all, nil
	}
	var broken error
	err = c.readToEnd(func(p wire.Part) {
		pieces, err := c.compose(p)
		add(pieces)
		broken = cmp.Or(broken, err)
	})
	return all, cmp.Or(err, broken)
}

func (s *slow) start(c *client) {
	l := s.loop
	s.site.Stats.Begin()
	s.fd = c.fd
	s.conn = c.detachedSocket()
	l.gaveWork = true
	l.conns.Note(s.conn, http.StateActive)
	ctx, cancel := s.deadline()
	if s.ended.Store(s.reply.ended); !s.reply.ended {
		_ = s.conn.SetUnsent(MaxUnsent) // it works without
		l.handedOver[s.fd] = func() { go s.gone(cancel) }
		_ = l.watch(s.fd, unix.EPOLLRDHUP|unix.EPOLLET) // without, its leaving is noticed at the next write
	}
	go func() {
		defer close(s.moved)
		defer cancel()
		s.move(ctx)
	}()
	go s.finish()
}

// deadline returns a context that ends at request_timeout.
func (s *slow) deadline() (context.Context, context.CancelFunc) {
	if limit := s.site.RequestTimeout; limit > 0 {
		return context.WithDeadline(context.Background(), s.sent.Add(limit))
	}
	return context.WithCancel(context.Background())
}

// gone tells the worker that the client has left.
func (s *slow) gone(cancel func()) {
	if !s.ended.Load() {
		s.waits.Cancel()
		cancel()
	}
}

// move moves to the spool what is here, and what the worker still sends.
func (s *slow) move(ctx context.Context) {
	_, err := s.waits.Write(s.here)
	s.here = nil
	if !s.reply.ended || s.code != coding.Identity {
		err = s.moveRest(ctx)
	}
	if s.ended.Store(true); !s.reply.ended {
		s.reply.entry.App = time.Since(s.sent)
	}
	s.waits.Finish(err)
}

func (s *slow) moveRest(ctx context.Context) error {
	to := s.newRest()
	_, err := to.Write(s.plain) // what is wrong is found again at the next piece, or the end
	s.plain = nil
	if !s.reply.ended {
		var body io.ReadCloser
		if body, err = s.direct.Rest(ctx); err != nil {
			to.giveUp()
			s.logCut(err)
			s.direct.Fail(err)
			return err
		}
		err = Pump(s.loop.o.Store, to, body, s.direct, s.site.Log, s.what)
	}
	if err != nil && to.why() == nil {
		to.giveUp()
		return err
	}
	if err = to.end(); to.why() != nil {
		s.logCut(to.why())
	}
	return err
}

// restOf is where the rest of a body goes.
type restOf interface {
	io.Writer
	end() error // adds what follows the body, and returns why the answer must be cut
	why() error // why it must be; nil: it need not
	giveUp()    // instead of end
}

func (s *slow) newRest() restOf {
	f := &framed{spool: s.waits, reply: &s.reply}
	if s.code == coding.Identity {
		return f
	}
	return &encodedBody{f, coding.NewBody(s.code, f, s.length)}
}

func (s *slow) logCut(err error) { logCut(s.site.Log, s.reply.entry.Worker, s.what, err) }

// finish gives the client what is in the spool, and the connection back to the loop.
func (s *slow) finish() {
	l := s.loop
	defer l.conns.Note(s.conn, http.StateClosed)
	defer s.site.Stats.End()
	whole := s.write()
	s.waits.Cancel()
	l.do(func() {
		if l.handedOver[s.fd] != nil {
			l.Unwatch(s.fd)
			delete(l.handedOver, s.fd)
		}
	})
	if !whole {
		s.conn.Close()
	}
	<-s.moved
	s.waits.Close()
	s.admission.End()
	r := &s.reply
	r.entry.Bytes, r.entry.Took = r.bodyTaken(), time.Since(r.entry.Time)
	s.site.Record(&r.entry)
	switch {
	case !whole:
	case r.last:
		_ = l.Linger(s.conn) // on an error it is closed
	default:
		_ = l.Reattach(s.conn, s.buffered) // on an error it is closed
	}
}

// write reports whether the client has taken all of its answer.
func (s *slow) write() bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.loop.o.Timeouts.Client)) // cannot fail for a socket
	if s.conn.Flush() != nil {
		return false
	}
	for {
		p, err := s.waits.Next(func() {})
		if err != nil {
			return err == io.EOF
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.loop.o.Timeouts.Client)) // cannot fail for a socket
		n, err := s.conn.Write(p[:min(len(p), spool.CopySize)])
		s.waits.Take(n)
		if s.reply.taken += int64(n); err != nil {
			return false
		}
	}
}

// framed writes the rest of a body to a spool as the client gets it.
type framed struct {
	spool *spool.Spool
	reply *reply
	chunk []byte // the last one
	cut   error  // why the answer must be cut; nil: it need not be
}

func (f *framed) why() error { return f.cut }
func (f *framed) giveUp()    {}

// Write adds a piece of the body.
func (f *framed) Write(p []byte) (int, error) {
	if len(p) == 0 { // as a chunk it would be the end
		return 0, nil
	}
	if _, f.cut = f.reply.count(int64(len(p)), false); f.cut != nil {
		return 0, spool.ErrCancelled
	}
	out := p
	if f.reply.chunked {
		f.chunk = append(strconv.AppendInt(f.chunk[:0], int64(len(p)), 16), "\r\n"...)
		f.chunk = append(append(f.chunk, p...), chunkEnd...)
		out = f.chunk
	}
	_, err := f.spool.Write(out)
	return len(p), err
}

// end adds what follows the body. It returns why the answer must be cut.
func (f *framed) end() error {
	if f.cut == nil {
		_, f.cut = f.reply.count(0, true)
	}
	if f.cut != nil || !f.reply.chunked {
		return f.cut
	}
	_, err := f.spool.Write(lastChunk)
	return err
}
