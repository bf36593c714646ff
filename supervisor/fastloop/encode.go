package fastloop

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// maxEncoding is how many whole answers may wait to be encoded; more are sent as they are.
const maxEncoding = 64

// planCoding returns what becomes of an answer that begins with p.
func (c *client) planCoding(p *wire.Part) coding.Plan {
	if !c.site.Encode.On {
		return coding.Plan{}
	}
	f := coding.Of(p.Head.Status)
	for _, field := range p.Head.Fields {
		f.Look(field[0], field[1])
	}
	plan := c.site.Encode.Plan(coding.Asked{
		Accept: c.request.field("Accept-Encoding"), NoneMatch: c.request.field("If-None-Match"), Head: c.request.Method == http.MethodHead,
	}, f)
	if p.End && p.Length < 0 && c.request.Method != http.MethodHead {
		plan = plan.Short(p.Size())
	}
	if p.End && c.loop.encoding >= maxEncoding {
		plan.Code = coding.Identity
	}
	return plan
}

// beginAnswer begins the answer, of which p is the first part.
func (c *client) beginAnswer(p wire.Part) {
	p.Head.Fields = c.site.Headers.Apply(p.Head.Fields) // what is planned and counted is what the client gets
	plan := c.planCoding(&p)
	raw := p.Length
	if plan.Changes() {
		p.Head = &wire.Answer{Status: p.Head.Status, Reason: p.Head.Reason, Fields: plan.Fields(p.Head.Fields)}
		if plan.Code != coding.Identity {
			p.Length = -1
		}
	}
	switch {
	case plan.Code == coding.Identity || c.request.Method == http.MethodHead:
		c.begun(&p)
		c.deliver(p, nil)
	case p.End:
		c.encodeWhole(plan.Code, p, raw)
	default:
		c.encodeRest(plan.Code, p, raw)
	}
}

// encodeWhole lets a goroutine encode an answer that is here. length is what the worker
// says that it is.
func (c *client) encodeWhole(code coding.Coding, p wire.Part, length int64) {
	l, body := c.loop, bytes.Join(p.Body, nil)
	c.begun(&p)
	c.reply.came = time.Now()
	c.workerDone()
	if length >= 0 && length != int64(len(body)) {
		c.cut(errLength(length, int64(len(body))), time.Now())
		return
	}
	l.encoding++
	wait := c.awaitDisk()
	go func() {
		out := code.EncodeNow(body)
		l.post(func() { l.encoding-- })
		c.resume(wait, func() { c.encoded(p.Head, out) }, func() {})
	}()
}

// encoded sends an answer that was encoded.
func (c *client) encoded(head *wire.Answer, body []byte) {
	app := c.reply.entry.App
	p := wire.Part{Head: head, Length: -1, Body: [][]byte{body}, End: true}
	c.begun(&p)
	c.reply.entry.App, c.reply.ended = app, true
	c.pass(p, nil)
}

// encodeRest lets goroutines carry on with an answer of which only the beginning is here.
func (c *client) encodeRest(code coding.Coding, p wire.Part, length int64) {
	l, body := c.loop, bytes.Join(p.Body, nil)
	c.begun(&p)
	c.reply.came = time.Now()
	s := c.newSlow()
	s.here, s.plain = bytes.Clone(l.out), body
	s.code, s.length = code, length
	if !c.recallFollowers() {
		err := c.readToEnd(func(p wire.Part) {
			for _, piece := range p.Body {
				s.plain = append(s.plain, piece...)
			}
		})
		if err != nil {
			c.cut(err, time.Now())
			return
		}
	}
	s.reply = c.reply
	s.admission = c.admission.Take()
	s.start(c)
}

func errLength(want, got int64) error {
	if got < want {
		return errShorter
	}
	return errLonger
}

// encodedBody encodes the rest of a body on its way to a spool.
type encodedBody struct {
	*framed
	body *coding.Body
}

// Write adds a piece of the body.
func (e *encodedBody) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := e.body.Write(p)
	if errors.Is(err, coding.ErrLonger) {
		e.cut = errLonger
		return 0, spool.ErrCancelled
	}
	return n, err
}

func (e *encodedBody) giveUp() { e.body.GiveUp() }

func (e *encodedBody) end() error {
	if e.cut != nil {
		e.giveUp()
		return e.cut
	}
	if err := e.body.End(); err != nil {
		if errors.Is(err, coding.ErrShorter) {
			e.cut = errShorter
		}
		return err
	}
	return e.framed.end()
}
