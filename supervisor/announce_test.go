package supervisor

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/proxy"
	front "github.com/multisite/multisite/supervisor/site"
)

// stuck is a site that blocks the front door's thread.
type stuck struct {
	front.Backend
	began, goOn chan struct{}
}

func (s *stuck) Enqueue(string, func()) (front.Ticket, error) {
	close(s.began)
	<-s.goOn
	return nil, io.EOF
}

// TestWatchdog_AsksTheLoop: the supervisor is not alive for the watchdog while the thread
// that serves all sites is blocked.
func TestWatchdog_AsksTheLoop(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, site := proxy.New(proxy.Options{}), &stuck{began: make(chan struct{}), goOn: make(chan struct{})}
	p.SetTable(front.NewTable([]front.Route{{Default: true, Site: &front.Site{Fast: site, Stats: &front.Stats{}, Log: slog.New(slog.DiscardHandler)}}}))
	s := &Supervisor{}
	if s.door, err = p.NewServer(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.door.Serve(l) }() // ends with Close
	defer s.door.Close()
	s.answers() // while nothing holds it up

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-site.began
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.answers()
	}()
	select {
	case <-answered:
		t.Error("answered, while the loop stood still")
	case <-time.After(100 * time.Millisecond): // long enough to see what does not ask
	}
	close(site.goOn)
	<-answered
}
