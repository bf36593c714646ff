package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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
	b.resp.Body.(arrived).text.Seek(0, io.SeekStart)
	return &b.resp, nil
}

// arrived is a body as workers give it: it cannot do more than be read.
type arrived struct{ text *strings.Reader }

func (a arrived) Read(p []byte) (int, error) { return a.text.Read(p) }
func (arrived) Complete() bool               { return true }
func (arrived) Close() error                 { return nil }

// sink is a ResponseWriter that costs nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header               { return s.header }
func (s *sink) WriteHeader(int)                   {}
func (s *sink) Write(p []byte) (int, error)       { return len(p), nil }
func (s *sink) WriteString(t string) (int, error) { return len(t), nil }
func (s *sink) SetReadDeadline(time.Time) error   { return nil }
func (s *sink) SetWriteDeadline(time.Time) error  { return nil }

func benchmarkProxy(b testing.TB, access func(*site.Entry)) *Proxy {
	b.Helper()
	p := New(Options{SpoolDir: b.TempDir()})
	p.SetTable(site.NewTable([]site.Route{{Hosts: []string{"site.test"}, Mount: "/", Site: &site.Site{
		Name: "site", RequestTimeout: time.Minute, Stats: &site.Stats{}, Log: slog.New(slog.DiscardHandler), Access: access,
		Backend: &instant{http.Response{
			StatusCode: 200, Body: arrived{strings.NewReader(strings.Repeat("x", 5000))},
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

// BenchmarkProxy_HTTP2 is the same over HTTP/2, without TLS. The client allocates nothing
// for a request.
func BenchmarkProxy_HTTP2(b *testing.B) {
	line := make([]byte, 0, 1000)
	p := benchmarkProxy(b, func(e *site.Entry) { line = e.AppendCombined(line[:0]) })
	server, err := p.NewServer()
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	server.begin()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	accepted, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	server.serveHTTP2(accepted)
	f := http2.NewFramer(conn, conn)
	f.SetReuseFrames()
	_, _ = io.WriteString(conn, http2.ClientPreface) // if it fails, so does the next
	if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}); err != nil {
		b.Fatal(err)
	}
	if err := f.WriteWindowUpdate(0, 1<<30); err != nil {
		b.Fatal(err)
	}
	var head bytes.Buffer
	h := hpack.NewEncoder(&head)
	h.SetMaxDynamicTableSize(0) // all heads are equal
	for _, field := range [][2]string{
		{":method", "GET"}, {":scheme", "http"}, {":authority", "site.test"}, {":path", "/path?query"},
		{"user-agent", "Mozilla/5.0"}, {"cookie", "sessionid=0123456789abcdef"},
	} {
		_ = h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // to memory
	}
	b.ReportAllocs()
	for id := uint32(1); b.Loop(); id += 2 {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			b.Fatal(err)
		}
		if n := readStream(b, f, id); n != 5000 {
			b.Fatalf("got %d bytes", n)
		}
	}
}

// readStream reads until the end of a stream, and returns the length of the body.
func readStream(b *testing.B, f *http2.Framer, id uint32) (n int) {
	b.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			b.Fatal(err)
		}
		if data, ok := frame.(*http2.DataFrame); ok {
			n += len(data.Data())
		}
		if frame.Header().StreamID == id && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return n
		}
	}
}
