package goapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"

	"github.com/multisite/multisite/worker/unixsock"
	"github.com/multisite/multisite/worker/wire"
)

// maxIdle is larger than the number of threads of any worker.
const maxIdle = 1024

func newTransport(path string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return unixsock.Dial(ctx, path)
		},
		Proxy:               nil,
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxIdle,
	}
}

// RoundTrip sends one request to the worker. It adds no header, and sends Host and the
// visitor's RequestURI unchanged. An error means that no answer has begun.
func (w *Worker) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return w.roundTripUpgrade(r)
	}
	resp, err := w.transport.RoundTrip(verbatim(r))
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		err = fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	return resp, err
}

// verbatim returns a copy of r with a URL that net/http writes byte for byte as RequestURI.
func verbatim(r *http.Request) *http.Request {
	out := *r
	u := *r.URL
	u.Scheme, u.Host, u.User = "http", "worker", nil // the dialer ignores the host; the Host header is r.Host
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	// net/http would take what follows two leading slashes for a host. It escapes such a path
	// itself, from u.Path.
	if path, query, ok := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		u.Opaque, u.RawQuery, u.ForceQuery = path, query, ok && query == ""
	}
	out.URL = &u
	if _, ok := r.Header["User-Agent"]; !ok {
		out.Header = maps.Clone(r.Header)
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header["User-Agent"] = nil // keeps net/http from adding its own
	}
	sendOnce(&out)
	return &out
}

// sendOnce keeps net/http from repeating a request by itself when a connection breaks: only
// the front door decides about that. net/http does not repeat a request with a body that it
// cannot get again, so a request without one gets an empty body; "identity" keeps net/http
// from announcing it.
func sendOnce(r *http.Request) {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		if r.Body == nil || r.Body == http.NoBody {
			r.Body = emptyBody{}
			r.ContentLength, r.TransferEncoding = -1, []string{"identity"}
		}
	}
	r.GetBody = nil
}

// emptyBody is a body without content that is not http.NoBody.
type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error)         { return 0, io.EOF }
func (emptyBody) WriteTo(io.Writer) (int64, error) { return 0, nil } // saves io.Copy its buffer
func (emptyBody) Close() error                     { return nil }
