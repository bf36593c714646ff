package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// instant is a Backend whose worker has always answered already.
type instant struct{ resp http.Response }

func (b *instant) Claim(context.Context, string) (site.Claim, error) { return b, nil }
func (b *instant) Retry(context.Context) (site.Claim, error)         { return b, nil }
func (b *instant) Worker() string                                    { return "site/1" }
func (b *instant) Release()                                          {}
func (b *instant) Fail(error)                                        {}
func (b *instant) PID() int                                          { return 0 }
func (b *instant) Hold(func()) func()                                { return func() {} }
func (b *instant) Abandon()                                          {}

func (b *instant) RoundTrip(*http.Request) (*http.Response, error) {
	b.resp.Body.(inMemory).Seek(0, io.SeekStart)
	return &b.resp, nil
}

// sink is a ResponseWriter that costs nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header               { return s.header }
func (s *sink) WriteHeader(int)                   {}
func (s *sink) Write(p []byte) (int, error)       { return len(p), nil }
func (s *sink) WriteString(t string) (int, error) { return len(t), nil }
func (s *sink) SetReadDeadline(time.Time) error   { return nil }
func (s *sink) SetWriteDeadline(time.Time) error  { return nil }

func benchmarkProxy(b *testing.B, access func(*site.Entry)) *Proxy {
	b.Helper()
	p := New(Options{SpoolDir: b.TempDir()})
	p.SetTable(site.NewTable([]site.Route{{Hosts: []string{"site.test"}, Mount: "/", Site: &site.Site{
		Name: "site", RequestTimeout: time.Minute, Stats: &site.Stats{}, Log: slog.New(slog.DiscardHandler), Access: access,
		Backend: &instant{http.Response{
			StatusCode: 200, Body: inMemory{strings.NewReader(strings.Repeat("x", 5000))},
			Header: http.Header{"Content-Type": {"text/html"}, "X-Frame-Options": {"DENY"}, "Content-Length": {"5000"}},
		}},
	}}}))
	return p
}

// BenchmarkProxy_ServeHTTP is the front door's own part of a request whose answer
// is in memory, with its line in the access log.
func BenchmarkProxy_ServeHTTP(b *testing.B) {
	for name, body := range map[string]string{"GET": "", "POST": strings.Repeat("x", 1000)} {
		b.Run(name, func(b *testing.B) {
			line := make([]byte, 0, 1000)
			p := benchmarkProxy(b, func(e *site.Entry) { line = e.AppendCombined(line[:0]) })
			r := httptest.NewRequest(name, "/path?query", nil)
			r.Host = "Site.Test:8080"
			r.Header.Set("User-Agent", "Mozilla/5.0")
			r.Header.Set("Cookie", "sessionid=0123456789abcdef")
			w, reader := &sink{header: http.Header{}}, inMemory{strings.NewReader("")}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				r.RemoteAddr, r.ContentLength = "127.0.0.1:5000", int64(len(body))
				reader.Reset(body)
				r.Body = reader
				p.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkProxy_Loopback is the same behind net/http, with its client.
func BenchmarkProxy_Loopback(b *testing.B) {
	p := benchmarkProxy(b, nil)
	s := httptest.NewUnstartedServer(nil)
	s.Config = p.newHTTPServer()
	s.Start()
	defer s.Close()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host = "site.test"
	b.ReportAllocs()
	for b.Loop() {
		resp, err := s.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 5000 || err != nil {
			b.Fatalf("got %d bytes, %v", n, err)
		}
		resp.Body.Close()
	}
}
