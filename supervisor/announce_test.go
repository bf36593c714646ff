package supervisor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/proxy"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/systemd"
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

// failing is a launcher whose workers do not start.
type failing struct{ err error }

func (f failing) Launch(context.Context, string) (pool.Worker, error) { return nil, f.err }
func (failing) Threads() int                                          { return 1 }

// TestAnnounce_NotifiesTheServiceManager, which is not parallel since it sets a variable: a
// site that has failed does not keep the supervisor from being ready, and is named.
func TestAnnounce_NotifiesTheServiceManager(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	s := sitesWithoutWorkers(t, &config.Site{Name: "blog"}, &config.Site{Name: "shop"})
	s.announcer = &announcer{Notifier: systemd.NewNotifier(slog.New(slog.DiscardHandler)), sites: &s.sites}
	shop := s.sites.all()[1]
	shop.pool = pool.New(pool.Options{Site: "shop", Launcher: failing{errors.New("no such module")}, Settings: pool.Settings{Min: 1, Max: 1, Threads: 1}})
	shop.log = newSiteLog(s.logs, "shop")
	var running sync.WaitGroup
	running.Go(func() { shop.pool.Run(context.Background()) })
	defer running.Wait()
	defer shop.pool.Stop()

	s.announce(t.Context())
	const failed = "1 of 2 sites failed: shop (no such module)"
	want := func(text string) {
		t.Helper()
		b := make([]byte, 1000)
		n, err := manager.Read(b)
		if got := string(b[:n]); err != nil || !strings.HasSuffix(got, text) {
			t.Errorf("the service manager got %q, %v, want %q", got, err, text)
		}
	}
	want("READY=1\nSTATUS=" + failed)
	ended := s.announcer.reloading()
	s.announcer.setReload(errors.New("unknown key"))
	want("STATUS=reloading")
	ended()
	want("READY=1\nSTATUS=" + failed + "; last reload failed: unknown key")
	s.announcer.setReload(&control.Error{Message: "no such site", Usage: true})
	if got := s.announcer.summary(); !strings.HasSuffix(got, ": unknown key") {
		t.Errorf("after a reload of a site that does not exist: %q", got)
	}
	s.announcer.setReload(nil)
	shop.pool = s.sites.all()[0].pool
	if got := s.announcer.summary(); got != "2 sites ready" {
		t.Errorf("got %q", got)
	}
}
