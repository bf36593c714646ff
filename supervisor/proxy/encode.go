package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/multisite/multisite/supervisor/coding"
)

// planCoding finds out what becomes of an answer with this header.
func (e *exchange) planCoding(h http.Header) {
	if !e.site.Encode.On {
		return
	}
	f := coding.Of(e.status)
	for name, values := range h {
		for _, value := range values {
			f.Look(name, value)
		}
	}
	e.plan, e.length = e.site.Encode.Plan(coding.Asked{
		Accept: strings.Join(e.r.Header["Accept-Encoding"], ","), NoneMatch: strings.Join(e.r.Header["If-None-Match"], ","), Head: e.r.Method == http.MethodHead,
	}, f), f.Length
}

// encodeWhole returns the body of an answer as the client gets it, and changes the header
// for that.
func (e *exchange) encodeWhole(body io.Reader) (io.Reader, error) {
	h := e.w.Header()
	if !e.plan.Changes() || e.r.Method == http.MethodHead {
		e.plan.Header(h)
		return body, nil
	}
	text, err := io.ReadAll(body)
	if err != nil || e.length >= 0 && e.length != int64(len(text)) {
		return bytes.NewReader(text), err // net/http cuts one of the wrong length
	}
	plan := e.plan.Short(int64(len(text)))
	if plan.Header(h); plan.Code == coding.Identity {
		return bytes.NewReader(text), nil
	}
	text = plan.Code.EncodeNow(text)
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	return bytes.NewReader(text), nil
}

// encodeTo returns where the body goes on its way to w, and what ends that: it gets and
// returns what is wrong with the body.
func (e *exchange) encodeTo(w io.Writer) (to io.Writer, end func(error) error) {
	if e.plan.Code == coding.Identity || e.r.Method == http.MethodHead {
		return w, func(err error) error { return err }
	}
	b := coding.NewBody(e.plan.Code, w, e.length)
	return b, func(err error) error {
		if err != nil {
			b.GiveUp()
			return err
		}
		return b.End()
	}
}
