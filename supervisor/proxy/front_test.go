package proxy

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// front is a Server on loopback, with one site at site.test.
type front struct {
	*Server
	tb      testing.TB
	crew    *crew
	site    *site.Site
	logs    *buffer
	entries chan site.Entry
	addr    string
	proxy   *Proxy
	served  chan error
	certs   *authority // nil: no TLS
}

// startFront serves until the test ends, and checks what is left then.
func startFront(tb testing.TB, c *crew, o Options, change ...func(*site.Site)) *front {
	tb.Helper()
	return startFrontOn(tb, loopback(tb, 0), c, o, change...)
}

// loopback listens. Its connections take so many bytes at once; 0: as many as usual.
func loopback(tb testing.TB, buffer int) net.Listener {
	tb.Helper()
	lc := net.ListenConfig{Control: setBuffer(unix.SO_SNDBUF, buffer)}
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func setBuffer(option, size int) func(_, _ string, c syscall.RawConn) error {
	if size == 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, size) })
	}
}

func startFrontOn(tb testing.TB, l net.Listener, c *crew, o Options, change ...func(*site.Site)) *front {
	tb.Helper()
	f := &front{tb: tb, crew: c, logs: &buffer{}, entries: make(chan site.Entry, 4096), served: make(chan error, 1)}
	o.SpoolDir, o.Log = tb.TempDir(), slog.New(slog.NewTextHandler(f.logs, nil))
	o.Timeouts = orPatient(o.Timeouts)
	if *overTLS || o.TLS != nil {
		f.certs = newAuthority(tb)
		o.TLS = f.certs.server
	}
	p := New(o)
	f.proxy = p
	f.site = &site.Site{Name: "site", Backend: c, Fast: c, Stats: &site.Stats{}, Log: o.Log, Access: func(e *site.Entry) { f.entries <- *e },
		MaxPerAddress: 1 << 20, Clients: &site.Clients{}}
	for _, change := range change {
		change(f.site)
	}
	p.SetTable(site.NewTable([]site.Route{{Hosts: []string{"site.test"}, Mount: "/", Site: f.site}}))
	var err error
	if f.Server, err = p.NewServer(); err != nil {
		tb.Fatal(err)
	}
	f.addr = l.Addr().String()
	if f.certs != nil {
		go func() { f.served <- f.ServeTLS(l) }()
	} else {
		go func() { f.served <- f.Serve(l) }()
	}
	tb.Cleanup(func() {
		l.Close()
		f.end()
		until(tb, "every admission ended", func() bool { return f.site.Clients.Len() == 0 })
		c.close()
	})
	return f
}

// orPatient fills in times that a busy machine does not reach.
func orPatient(t Timeouts) Timeouts {
	return Timeouts{Header: cmp.Or(t.Header, time.Hour), Idle: cmp.Or(t.Idle, time.Hour), Client: cmp.Or(t.Client, time.Hour)}
}

// end closes the server and checks that its loop holds nothing any more.
func (f *front) end() {
	f.tb.Helper()
	if err := f.Close(); err != nil {
		f.tb.Errorf("close: %v", err)
	}
	if err := <-f.served; !errors.Is(err, http.ErrServerClosed) {
		f.tb.Errorf("served until %v", err)
	}
	f.served <- http.ErrServerClosed
	f.loop.Inspect(func(v fastloop.View) {
		if err := v.Check(); err != nil || !v.Empty() {
			f.tb.Errorf("left in the loop (%v): %+v", err, v)
		}
	})
}

// store is where answers wait.
func (f *front) store() *spool.Store { return f.proxy.store }

// dial connects and sends text.
func (f *front) dial(text string) *peer {
	f.tb.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { c.Close() })
	p := f.newPeer(c.(*net.TCPConn))
	p.send(text)
	return p
}

// check asserts the invariants of the loop.
func (f *front) check() {
	f.tb.Helper()
	f.loop.Inspect(func(v fastloop.View) {
		if err := v.Check(); err != nil {
			f.tb.Error(err)
		}
	})
}

// get is a request that the loop answers.
func get(uri string) string { return "GET " + uri + " HTTP/1.1\r\nHost: site.test\r\n\r\n" }

func (p *peer) wantBody(want string) *http.Response {
	p.tb.Helper()
	resp, body := p.whole("GET")
	if resp.StatusCode != 200 || body != want {
		p.tb.Fatalf("got %d %.100q, want %.100q", resp.StatusCode, body, want)
	}
	return resp
}

// wantClosed reads to the end of the connection, where nothing must come.
func (p *peer) wantClosed() {
	p.tb.Helper()
	if b, err := p.br.ReadByte(); err == nil {
		p.tb.Errorf("got %q, want the connection closed", b)
	}
}

// wantCounts compares how many requests the loop asked for, and net/http claimed
// for itself.
func (f *front) wantCounts(asked, claimed int) {
	f.tb.Helper()
	if a, c, ends := f.crew.counts(); a != asked || c != claimed {
		f.tb.Errorf("got %d asked and %d claimed, want %d and %d (%s)", a, c, asked, claimed, ends)
	}
}

// wantMine checks that the connection is the loop's: it asks for what comes. The next
// request may be too early, and find net/http still there.
func (f *front) wantMine(p *peer, mine bool) {
	f.tb.Helper()
	asked, _, _ := f.crew.counts()
	for range 100 {
		p.send(get("/next"))
		p.wantBody("/next")
		if now, _, _ := f.crew.counts(); now > asked {
			if !mine {
				f.tb.Error("the loop asked, want net/http to have it")
			}
			return
		}
		if !mine {
			return
		}
	}
	f.tb.Error("the connection does not come back")
}

// gated answers /slow... when it is let go, and all else at once.
func gated() (d does, began chan string, letGo chan *wire.Answer) {
	began, letGo = make(chan string, 1000), make(chan *wire.Answer)
	return func(w *crewWorker, uri string) *wire.Answer {
		if !strings.HasPrefix(uri, "/slow") {
			return echo(w, uri)
		}
		began <- uri
		if a, ok := <-letGo; ok && a != nil {
			return a
		}
		return echo(w, uri)
	}, began, letGo
}

// busyLoop sends a request that the only worker keeps until letGo, to a loop that hands
// nothing over.
func busyLoop(t *testing.T, request string) (f *front, p *peer, letGo chan *wire.Answer) {
	t.Helper()
	d, began, letGo := gated()
	f = startFront(t, newCrew(t, 1, d), Options{})
	f.delayLook(time.Hour)
	p = f.dial(request)
	<-began
	return f, p, letGo
}

// wantUnread waits until the loop has seen that the client with a request says more.
func (f *front) wantUnread() {
	f.tb.Helper()
	until(f.tb, "seen", func() (seen bool) {
		f.loop.Inspect(func(v fastloop.View) { seen = v.Unread() })
		return seen
	})
}

// until polls what cannot be waited for in another way.
func until(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); runtime.Gosched() {
		if time.Now().After(deadline) {
			tb.Fatalf("not %s", what)
		}
	}
}

// narrow is dial for a client that takes little at once.
func (f *front) narrow(text string) *peer {
	f.tb.Helper()
	d := net.Dialer{Control: setBuffer(unix.SO_RCVBUF, 2048)}
	c, err := d.DialContext(f.tb.Context(), "tcp", f.addr)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { c.Close() })
	p := f.newPeer(c.(*net.TCPConn))
	p.send(text)
	return p
}

// tcpPair is both ends of a connection.
func tcpPair(tb testing.TB) (near, far *net.TCPConn) {
	tb.Helper()
	l := loopback(tb, 0)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	accepted, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { accepted.Close() })
	return accepted.(*net.TCPConn), c.(*net.TCPConn)
}
