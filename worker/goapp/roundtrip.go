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

// maxIdle is more connections than a worker has threads.
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

// RoundTrip sends one request to the worker. It adds no header and changes neither
// Host nor the request line: what came from the visitor in RequestURI goes out as
// it came. An error means that no answer began.
func (w *Worker) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.transport.RoundTrip(outgoing(r))
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		err = fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	return resp, err
}

// outgoing returns a copy of r with a URL that net/http writes out byte for byte.
func outgoing(r *http.Request) *http.Request {
	out := *r
	u := *r.URL
	u.Scheme, u.Host, u.User = "http", "worker", nil // the dialer knows where; the Host header is r.Host
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	// Two leading slashes would read as a host; net/http escapes such a path itself.
	if path, query, ok := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		u.Opaque, u.RawQuery, u.ForceQuery = path, query, ok && query == ""
	}
	out.URL = &u
	if _, ok := r.Header["User-Agent"]; !ok {
		out.Header = maps.Clone(r.Header)
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header["User-Agent"] = nil // keeps net/http from inventing one
	}
	sendOnce(&out)
	return &out
}

// sendOnce keeps net/http from repeating a request by itself when a connection
// breaks: to try it again is the front door's decision.
// A body that cannot be had again forbids it; "identity" keeps the empty body off
// the wire.
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

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error)         { return 0, io.EOF }
func (emptyBody) WriteTo(io.Writer) (int64, error) { return 0, nil } // saves io.Copy its buffer
func (emptyBody) Close() error                     { return nil }
