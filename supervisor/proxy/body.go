package proxy

import (
	"github.com/multisite/multisite/supervisor/spool"
)

// readBody reads the whole request body, as slowly as the client sends it.
func (e *exchange) readBody() (*spool.Body, error) {
	if e.r.ContentLength == 0 {
		return e.proxy.store.NoBody(), nil
	}
	return e.proxy.store.ReadBody(patient{e}, e.r.ContentLength, e.site.MaxBody)
}

// patient gives a client its time for every read of its body. net/http ends
// that limit with the body.
type patient struct{ e *exchange }

// Read reads of the body.
func (p patient) Read(b []byte) (int, error) {
	p.e.setReadDeadline()
	n, err := p.e.r.Body.Read(b)
	if n > 0 {
		p.e.progress()
	}
	return n, err
}
