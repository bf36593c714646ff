package rules

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// Headers are what a site says of the headers of all its answers: of workers and files, and
// of the pages that the front door writes for it.
type Headers struct {
	Set    [][2]string // in place of those of the same name; names in canonical form, in order
	Remove []string    // in canonical form, in order
}

// framing are the headers that belong to the front door: with another value an answer could
// not be read.
var framing = []string{"Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade", "Keep-Alive", "Te",
	"Proxy-Connection", "Content-Range", "Content-Encoding", "Date", "X-Request-Id", "X-Accel-Redirect", "X-Sendfile"}

// CheckHeader returns a header's name in canonical form, or why it cannot be set or removed.
func CheckHeader(name, value string) (string, error) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "", fmt.Errorf("%q is not the name of a header", name)
	case slices.Contains(framing, canonical):
		return "", fmt.Errorf("%s belongs to the front door", canonical)
	case !httpguts.ValidHeaderFieldValue(value):
		return "", fmt.Errorf("the value of %s has characters that a header cannot have", canonical)
	}
	return canonical, nil
}

func (h *Headers) replaces(name string) bool {
	return slices.Contains(h.Remove, name) || slices.ContainsFunc(h.Set, func(f [2]string) bool { return f[0] == name })
}

// Apply returns the fields of an answer as the client gets them, whose names are in canonical
// form. h may be nil.
func (h *Headers) Apply(fields [][2]string) [][2]string {
	if h == nil {
		return fields
	}
	applied := make([][2]string, 0, len(fields)+len(h.Set))
	for _, f := range fields {
		if !h.replaces(f[0]) {
			applied = append(applied, f)
		}
	}
	return append(applied, h.Set...)
}

// ApplyTo is Apply for net/http. h may be nil.
func (h *Headers) ApplyTo(header http.Header) {
	if h == nil {
		return
	}
	for _, name := range h.Remove {
		delete(header, name)
	}
	for _, f := range h.Set {
		header[f[0]] = []string{f[1]}
	}
}
