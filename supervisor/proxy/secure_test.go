package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// TestSecure_LoopAnswers: a simple request over TLS is the loop's, and its worker is told
// that it is one.
func TestSecure_LoopAnswers(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := newCrew(t, 1, echo)
		schemes := make(chan string, 10)
		c.sees = func(h *wire.Head) { schemes <- h.Scheme }
		f := startSecure(t, c, Options{})
		f.certs.client.MaxVersion = version
		p := f.dial(get("/1") + get("/2"))
		p.wantBody("/1")
		p.wantBody("/2")
		if got := p.secure.ConnectionState().Version; got != version {
			t.Errorf("got version %x, want %x", got, version)
		}
		if first, second := <-schemes, <-schemes; first != "https" || second != "https" {
			t.Errorf("the worker got %q and %q", first, second)
		}
		if first, second := <-f.entries, <-f.entries; first.TLS != tls.VersionName(version) || second.TLS != first.TLS {
			t.Errorf("the access log has %q and %q", first.TLS, second.TLS)
		}
		f.wantCounts(2, 0)
	}
}

// TestSecure_HSTS: the loop's answers over TLS promise it, unless the application says
// something else.
func TestSecure_HSTS(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, func(w *crewWorker, uri string) *wire.Answer {
		a := echo(w, uri)
		if uri == "/own" {
			a.Fields = append(a.Fields, [2]string{"Strict-Transport-Security", "max-age=1"})
		}
		return a
	}), Options{}, func(s *site.Site) { s.HSTS = time.Hour })
	p := f.dial(get("/1") + get("/own"))
	for _, want := range []string{"max-age=3600", "max-age=1"} {
		resp, _ := p.whole("GET")
		if got := resp.Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f.wantCounts(2, 0)
}

// dribble writes one byte at a time.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// TestSecure_RecordsByteByByte: a record that is not whole yet is waited for. This is what
// the loop needs of crypto/tls: a read that fails for a moment spoils nothing.
func TestSecure_RecordsByteByByte(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f := startSecure(t, newCrew(t, 1, echo), Options{})
		f.certs.client.MaxVersion = version
		p := f.dialWith(func(c net.Conn) net.Conn { return dribble{c} }, get("/1"))
		p.wantBody("/1")
		body := strings.Repeat("x", 3000)
		p.send(fmt.Sprintf("POST /2 HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		p.wantBody("/2")
		f.wantMine(p, true)
	}
}

// dialWith is dial for a client whose records go through something.
func (f *front) dialWith(through func(net.Conn) net.Conn, text string) *peer {
	f.tb.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { c.Close() })
	p := &peer{TCPConn: c.(*net.TCPConn), tb: f.tb, secure: tls.Client(through(c), f.certs.client)}
	p.br = bufio.NewReader(p.secure)
	p.send(text)
	return p
}

// TestSecure_KeyUpdate: OpenSSL changes its keys between two requests and asks for new ones.
func TestSecure_KeyUpdate(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	cmd := exec.Command("openssl", "s_client", "-quiet", "-no_ign_eof", "-tls1_3", "-servername", "site.test", "-connect", f.addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	says, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("no openssl: ", err)
	}
	defer func() { _ = cmd.Wait() }() // fails, as it is closed
	defer in.Close()
	r, said := bufio.NewReader(out), bufio.NewScanner(says)
	for i := range 5 {
		uri := fmt.Sprintf("/%d", i)
		if _, err := io.WriteString(in, get(uri)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != uri {
			t.Fatalf("got %q (%v)", body, err)
		}
		if _, err := io.WriteString(in, "K\n"); err != nil { // the command to change the keys and to ask for new ones
			t.Fatal(err)
		}
		for said.Scan() && said.Text() != "KEYUPDATE" {
		}
	}
	f.wantCounts(5, 0)
}

// TestSecure_Detached: a request that net/http gets keeps its TLS, and the connection comes
// back with it.
func TestSecure_Detached(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startSecure(t, newCrew(t, 1, d), Options{})
	p := f.dial(get("/slow"))
	<-began
	until(t, "detached", func() bool { return !f.loop.Conns().Empty() })
	close(letGo)
	p.wantBody("/slow")
	f.wantMine(p, true)
	body := strings.Repeat("x", 1<<20)
	p.send(fmt.Sprintf("POST /large HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n%s%s", len(body), body, get("/behind")))
	p.wantBody("/large")
	p.wantBody("/behind")
	f.wantMine(p, true)
}

// TestSecure_SlowClient: an answer that the client takes slowly arrives whole, from the
// loop, and from the goroutines that carry on with it.
func TestSecure_SlowClient(t *testing.T) {
	t.Parallel()
	for _, size := range []int{50_000, 300_000, 8 << 20} {
		f := startSecure(t, newCrew(t, 1, func(_ *crewWorker, uri string) *wire.Answer {
			return &wire.Answer{Status: 200, Body: pattern(size)}
		}), Options{})
		p := f.narrow(get("/1"))
		until(t, "begun", func() bool { asked, _, _ := f.crew.counts(); return asked == 1 })
		_, body := p.whole("GET")
		if body != string(pattern(size)) {
			t.Errorf("got %d bytes, want %d", len(body), size)
		}
		p.send(get("/2"))
		if _, body := p.whole("GET"); body != string(pattern(size)) {
			t.Errorf("then got %d bytes, want %d", len(body), size)
		}
		until(t, "all memory is given back", func() bool { return f.store().InMemory() == 0 })
	}
}

// TestSecure_HTTP: a client that speaks HTTP to the port for TLS is told.
func TestSecure_HTTP(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	f.certs = nil
	p := f.dial(get("/1"))
	p.wantStatus(http.StatusBadRequest)
	p.wantClosed()
}

// TestSecure_Misdirected: a request for a name whose certificate the client has not seen is
// not answered.
func TestSecure_Misdirected(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{Covers: func(asked, host string) bool { return asked == host }})
	p := f.dial("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
	p.wantStatus(http.StatusMisdirectedRequest)
	p.send(get("/1"))
	p.wantBody("/1")
}

// TestSecure_HalfHandshakes: clients that begin handshakes and do not go on have some
// places for a time, and keep nobody else out.
func TestSecure_HalfHandshakes(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	half := func(from string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(t.Context(), "tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte{22, 3, 1}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		half(fmt.Sprintf("127.0.1.%d", i%10))
	}
	f.dial(get("/1")).wantBody("/1")
	f.loop.Inspect(func(v fastloop.View) {
		if running, most := v.Handshakes(); running > 512 || most > 64 {
			t.Errorf("%d handshakes run, %d of one address", running, most)
		}
	})
}

// TestSecure_SlowHandshakeIsCut: a handshake has the time of a head.
func TestSecure_SlowHandshakeIsCut(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{Timeouts: Timeouts{Header: 100 * time.Millisecond}})
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{22, 3, 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Logf("got %d bytes, then %v", n, err) // a reset is an end, too
	}
}

// TestSecure_EndTLS: before an upgrade, connections with TLS end where HTTP allows it.
func TestSecure_EndTLS(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startSecure(t, newCrew(t, 2, d), Options{})
	idle, busy := f.dial(get("/idle")), f.dial("")
	idle.wantBody("/idle")
	busy.send(get("/slow"))
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var ended sync.WaitGroup
	ended.Go(func() { f.EndTLS(ctx) })
	if n, err := io.Copy(io.Discard, idle.secure); n > 0 || err != nil {
		t.Errorf("the idle client got %d bytes, then %v, want close_notify", n, err)
	}
	idle.Close()
	ended.Wait()
	waits := f.dialWith(func(c net.Conn) net.Conn { return c }, "")
	said := make(chan error, 1)
	go func() { said <- waits.secure.Handshake() }()
	close(letGo)
	busy.wantBody("/slow")
	if n, err := io.Copy(io.Discard, busy.secure); n > 0 || err != nil {
		t.Errorf("the busy client got %d more bytes, then %v, want close_notify", n, err)
	}
	select {
	case err := <-said:
		t.Errorf("a new client did not wait: %v", err)
	default:
	}
	f.ResumeTLS()
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	waits.send(get("/again"))
	waits.wantBody("/again")
}

// TestSecure_ShutdownOfTheSilent: a client that has connected and said nothing, as browsers
// do ahead of need, is not waited for.
func TestSecure_ShutdownOfTheSilent(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	until(t, "connected", func() bool { return f.Connections().Open == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := f.Shutdown(ctx); err != nil {
		t.Errorf("the server waits for it: %v", err)
	}
}

// TestSecure_EndTLSKeepsWaiting: a client whose handshake waits for a place is not begun with
// before an upgrade: the next process has it.
func TestSecure_EndTLSKeepsWaiting(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{})
	var halves []net.Conn
	wantRunning := func(want int) {
		t.Helper()
		until(t, fmt.Sprintf("%d handshakes run", want), func() (ok bool) {
			f.loop.Inspect(func(v fastloop.View) { running, _ := v.Handshakes(); ok = running == want })
			return ok
		})
	}
	for i := range 65 { // a place more than there is for one address
		c, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte{22, 3, 1}); err != nil {
			t.Fatal(err)
		}
		halves = append(halves, c)
		wantRunning(min(i+1, 64))
	}
	until(t, "the last one waits", func() bool { return f.Connections().Open == 65 })
	f.EndTLS(t.Context())
	halves[0].Close()
	wantRunning(63)
	f.ResumeTLS()
	wantRunning(64)
}
