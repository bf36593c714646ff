package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/multisite/multisite/supervisor/fastloop"
)

// TestHostileAfternoon: while clients send what is no handshake, half of one, or frames
// without requests, everybody else gets right answers, and all bounds hold.
func TestHostileAfternoon(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 2, echo), Options{Covers: func(asked, host string) bool { return asked == host }})
	var hostile sync.WaitGroup
	says := func(times int, from string, what []byte) {
		hostile.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			for range times {
				c, err := d.DialContext(t.Context(), "tcp", f.addr)
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(func() { c.Close() })
				_, _ = c.Write(what) // it may be refused in the middle
			}
		})
	}
	says(200, "127.0.2.1", bytes.Repeat([]byte("garbage "), 4096))
	says(200, "127.0.2.2", []byte{22, 3, 1, 255, 255, 1, 0, 255, 255}) // a record longer than any
	says(200, "127.0.2.3", append([]byte{22, 3, 1, 64, 0, 1, 255, 255, 255}, make([]byte, 16380)...))
	for i := range 10 {
		says(200, fmt.Sprintf("127.0.3.%d", i), []byte{22, 3, 1, 2, 0, 1})
	}
	pings := f.frames()
	hostile.Go(func() { pings.wantCut(func() error { return pings.WritePing(false, [8]byte{}) }) })
	heads := f.frames()
	heads.must(heads.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: heads.head("GET", "/")}))
	hostile.Go(func() { heads.wantCut(func() error { return heads.WriteContinuation(1, false, nil) }) })
	for i := range 50 {
		uri := fmt.Sprintf("/%d", i)
		p := f.dial(get(uri))
		p.wantBody(uri)
		p.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
		p.wantStatus(http.StatusMisdirectedRequest)
		f.want2(f.client2(), uri)
		f.loop.Inspect(func(v fastloop.View) {
			if running, most := v.Handshakes(); running > 512 || most > 64 {
				t.Errorf("%d handshakes run, %d of one address", running, most)
			}
		})
	}
	hostile.Wait()
	f.check()
}

// TestSecure_OldVersions: what is older than TLS 1.2 is refused.
func TestSecure_OldVersions(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	conf := f.certs.client.Clone()
	conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 //nolint:gosec // that is the test
	if c, err := tls.Dial("tcp", f.addr, conf); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
}
