package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// framer is a client that sends the frames that it likes.
type framer struct {
	*http2.Framer
	tb   testing.TB
	conn net.Conn
	text bytes.Buffer
	enc  *hpack.Encoder
}

// frames connects, says what a client says first, and returns.
func (f *front) frames(settings ...http2.Setting) *framer {
	f.tb.Helper()
	conf := f.certs.client.Clone()
	conf.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", f.addr, conf)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { conn.Close() })
	return f.framesOn(conn, settings...)
}

func (f *front) framesOn(conn net.Conn, settings ...http2.Setting) *framer {
	f.tb.Helper()
	c := &framer{Framer: http2.NewFramer(conn, conn), tb: f.tb, conn: conn}
	c.enc = hpack.NewEncoder(&c.text)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		f.tb.Fatal(err)
	}
	c.must(c.WriteSettings(settings...))
	return c
}

func (c *framer) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}

// head encodes the head of a request.
func (c *framer) head(method, path string, more ...string) []byte {
	c.text.Reset()
	fields := append([]string{":method", method, ":scheme", "https", ":authority", "site.test", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a Buffer takes all
	}
	return bytes.Clone(c.text.Bytes())
}

func (c *framer) request(stream uint32, method, path string, end bool) error {
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.head(method, path), EndHeaders: true, EndStream: end})
}

// until reads frames until one is wanted, or the connection ends.
func (c *framer) until(wanted func(http2.Frame) bool) error {
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return err
		}
		if wanted(f) {
			return nil
		}
	}
}

// wantCut checks that the server ends the connection while flood sends.
func (c *framer) wantCut(flood func() error) {
	c.tb.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	for range 1_000_000 {
		if err := flood(); err != nil {
			return
		}
	}
	c.tb.Error("the connection is not cut")
}

// client2 returns a client that speaks HTTP/2.
func (f *front) client2() *http.Client {
	transport := &http.Transport{TLSClientConfig: f.certs.client.Clone(), ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", f.addr)
		}}
	f.tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (f *front) want2(c *http.Client, path string) *http.Response {
	f.tb.Helper()
	resp, err := c.Get("https://site.test" + path)
	if err != nil {
		f.tb.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != path || resp.ProtoMajor != 2 {
		f.tb.Fatalf("got %s %d %q (%v)", resp.Proto, resp.StatusCode, body, err)
	}
	return resp
}

func TestHTTP2_Answers(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	c := f.client2()
	f.want2(c, "/1")
	f.want2(c, "/2")
	if e := <-f.entries; e.Line != "GET /1 HTTP/2.0" {
		t.Errorf("logged %q", e.Line)
	}
}

// TestHTTP2_WithoutTLS: only trusted clients may begin with HTTP/2, in one piece or byte by
// byte.
func TestHTTP2_WithoutTLS(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	for _, trusted := range []bool{true, false} {
		o := Options{}
		if trusted {
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
		f := startFront(t, newCrew(t, 1, echo), o)
		for _, through := range []func(net.Conn) net.Conn{func(c net.Conn) net.Conn { return c }, func(c net.Conn) net.Conn { return dribble{c} }} {
			conn, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if !trusted {
				if _, err := io.WriteString(through(conn), "PRI * HTTP/2.0\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				p := f.newPeer(conn.(*net.TCPConn))
				if resp := p.answer("GET"); resp.StatusCode < 400 {
					t.Errorf("a stranger got %d", resp.StatusCode)
				}
				continue
			}
			c := f.framesOn(through(conn))
			c.must(c.request(1, "GET", "/1", true))
			c.must(c.until(func(f http2.Frame) bool {
				return f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().StreamID == 1
			}))
		}
	}
}

// TestHTTP2_EndTLS: a client is told to begin no more requests. Those under way are
// answered, and later ones go to another connection.
func TestHTTP2_EndTLS(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startSecure(t, newCrew(t, 2, d), Options{})
	c := f.client2()
	f.want2(c, "/1")
	var busy sync.WaitGroup
	busy.Go(func() { f.want2(c, "/slow") })
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { f.EndTLS(ctx) })
	close(letGo)
	busy.Wait()
	ended.Wait()
	f.ResumeTLS()
	f.want2(c, "/2")
}

// TestHTTP2_Floods: what a client sends to cost more than it pays ends its connection. Other
// clients are served meanwhile.
func TestHTTP2_Floods(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flood func(c *framer) func() error
	}{
		{"requests that are reset at once", func(c *framer) func() error {
			stream := uint32(1)
			return func() error {
				if err := c.request(stream, "GET", "/slow", true); err != nil {
					return err
				}
				stream += 2
				return c.WriteRSTStream(stream-2, http2.ErrCodeCancel)
			}
		}},
		{"a head without end", func(c *framer) func() error {
			c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.head("GET", "/"), EndStream: true}))
			piece := c.head("GET", "/", "x-a", strings.Repeat("a", 8000))
			return func() error { return c.WriteContinuation(1, false, piece) }
		}},
		{"empty pieces of a head", func(c *framer) func() error {
			c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.head("GET", "/"), EndStream: true}))
			return func() error { return c.WriteContinuation(1, false, nil) }
		}},
		{"pings whose answers are not read", func(c *framer) func() error {
			return func() error { return c.WritePing(false, [8]byte{}) }
		}},
		{"settings whose answers are not read", func(c *framer) func() error {
			return func() error { return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}) }
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, _, letGo := gated()
			crew := newCrew(t, 2, d)
			f := startSecure(t, crew, Options{Timeouts: Timeouts{Header: 2 * time.Second, Client: 2 * time.Second}}, func(s *site.Site) { s.Access = func(*site.Entry) {} })
			defer close(letGo)
			c := f.frames()
			var flood sync.WaitGroup
			flood.Go(func() { c.wantCut(test.flood(c)) })
			flood.Wait()
			if asked, claimed, _ := crew.counts(); asked+claimed > 10*maxStreams {
				t.Errorf("%d requests were begun", asked+claimed)
			}
		})
	}
}

// TestHTTP2_LargeHead: a head over the limit is refused.
func TestHTTP2_LargeHead(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	c := f.client2()
	r, _ := http.NewRequest("GET", "https://site.test/", nil)
	r.Header.Set("X-A", strings.Repeat("a", 300<<10))
	if resp, err := c.Do(r); err == nil && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", resp.StatusCode)
	}
	f.want2(c, "/1")
}

// TestHTTP2_TakesNothing: a client that lets nothing be sent to it holds no worker, and its
// stream ends when its time is up.
func TestHTTP2_TakesNothing(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, func(w *crewWorker, uri string) *wire.Answer {
		if uri == "/large" {
			return &wire.Answer{Status: 200, Body: pattern(1 << 20)}
		}
		return echo(w, uri)
	}), Options{Timeouts: Timeouts{Client: time.Second}})
	c := f.frames(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for stream := uint32(1); stream < 2*maxStreams; stream += 2 {
		c.must(c.request(stream, "GET", "/large", true))
	}
	f.want2(f.client2(), "/1")
	resets := 0
	c.must(c.until(func(f http2.Frame) bool {
		if _, ok := f.(*http2.RSTStreamFrame); ok {
			resets++
		}
		return resets == maxStreams
	}))
}

// TestHTTP2_EmptyData: a body that never grows is not waited for for ever. It gets its answer
// after client_timeout, or the connection ends before: so many frames are a flood.
func TestHTTP2_EmptyData(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{Timeouts: Timeouts{Client: time.Second}})
	c := f.frames()
	c.must(c.request(1, "POST", "/1", false))
	over := make(chan error, 1)
	go func() {
		over <- c.until(func(f http2.Frame) bool { return f.Header().StreamID == 1 })
	}()
	for {
		select {
		case <-over:
			f.want2(f.client2(), "/2")
			return
		default:
			_ = c.WriteData(1, false, nil) // what it fails for ends the reading, too
		}
	}
}

// TestHTTP2_ManyStreams: many requests of one connection for one worker are all answered,
// and so is another client's.
func TestHTTP2_ManyStreams(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	c := f.frames()
	for stream := uint32(1); stream < 2*maxStreams; stream += 2 {
		c.must(c.request(stream, "GET", "/1", true))
	}
	f.want2(f.client2(), "/other")
	ended := 0
	c.must(c.until(func(f http2.Frame) bool {
		if f.Header().StreamID > 0 && f.Header().Flags.Has(http2.FlagDataEndStream) {
			ended++
		}
		return ended == maxStreams
	}))
}
