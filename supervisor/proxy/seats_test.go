package proxy

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
)

// wantRefused connects, which must be closed at once.
func (f *front) wantRefused() {
	f.tb.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.tb.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		f.tb.Errorf("got %d bytes and %v, want that it is closed", n, err)
	}
}

func (f *front) awaitConnections(want int) {
	f.tb.Helper()
	until(f.tb, "so few connections", func() bool { return f.Connections().Open == want })
}

// TestSeats_PerAddress: whatever becomes of a connection, its seat is free at its end.
func TestSeats_PerAddress(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{Limits: fastloop.Limits{PerAddress: 2}})
	post := "POST /net HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
	for name, use := range map[string]func(p *peer){
		"idle":                 func(*peer) {},
		"answered by the loop": func(p *peer) { p.send(get("/a")); p.wantBody("/a") },
		"half a head":          func(p *peer) { p.send("GET / HT") },
		"refused":              func(p *peer) { p.send("nonsense\r\n\r\n"); _, _ = io.Copy(io.Discard, p) },
		"answered by net/http, kept": func(p *peer) {
			p.send("OPTIONS * HTTP/1.1\r\nHost: site.test\r\n\r\n")
			p.whole("OPTIONS")
		},
		"left within net/http": func(p *peer) { p.send(post + "\r\n") },
		"closed by net/http":   func(p *peer) { p.send(post + "Connection: close\r\n\r\nx"); _, _ = io.Copy(io.Discard, p) },
	} {
		p, other := f.dial(""), f.dial("")
		f.awaitConnections(2)
		use(p)
		if f.Connections().Open == 2 {
			f.wantRefused()
		}
		p.Close()
		other.Close()
		until(t, name+": its seat free", func() bool { return f.Connections().Open == 0 })
	}
	if got := f.Connections(); got.RefusedPerAddress < 4 || got.Refused != 0 || got.Limits.Connections == 0 {
		t.Errorf("got %+v", got)
	}
	f.SetLimits(fastloop.Limits{PerAddress: 3}) // applies to those that come
	for range 3 {
		p := f.dial(get("/b"))
		p.wantBody("/b")
	}
	f.wantRefused()
}

// TestSeats_TrustedProxies have no limit, and are counted.
func TestSeats_TrustedProxies(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{Limits: fastloop.Limits{Connections: 2, PerAddress: 1}, TrustedProxies: prefixes("127.0.0.0/8")})
	for range 4 {
		f.dial(get("/a")).wantBody("/a")
	}
	if got := f.Connections(); got.Open != 4 || got.Refused+got.RefusedPerAddress != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestSeats_IdleOnesMakeRoom: if there are too many, a new client takes the place of the one
// that has been idle longest; without one it is refused.
func TestSeats_IdleOnesMakeRoom(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{Limits: fastloop.Limits{Connections: 2, PerAddress: 10}})
	first, second := f.dial(get("/1")), f.dial(get("/2"))
	first.wantBody("/1")
	second.wantBody("/2")
	f.wantRefused() // both may go on at any moment
	f.loop.Inspect(func(v fastloop.View) { v.Age(time.Minute, false) })
	until(t, "a moment since the last look", func() bool {
		p := f.dial(get("/3"))
		resp, err := io.ReadAll(io.LimitReader(p, 12))
		if err == nil && string(resp) == "HTTP/1.1 200" {
			return true
		}
		p.Close()
		return false
	})
	f.awaitConnections(2)
	if got := f.Connections(); got.Refused < 1 || got.RefusedPerAddress != 0 {
		t.Errorf("got %+v", got)
	}
}
