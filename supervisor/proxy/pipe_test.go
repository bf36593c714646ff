package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// pipes is a listener whose connections are net.Pipes. They hold not one byte,
// and their deadlines follow the clock of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// timeouts are not those that clients have by default.
var timeouts = Timeouts{Header: 20 * time.Second, Idle: 90 * time.Second, Client: clientTimeout}

const clientTimeout = 50 * time.Second

// pipeSite serves one site, at the host site.test, until the test ends, and
// returns what dials it.
func pipeSite(t *testing.T, st *site.Site) (dial func() *pipePeer, s *server) {
	t.Helper()
	s = &server{tb: t, logs: &buffer{}, entries: make(chan site.Entry, 256)}
	s.complete(st)
	s.proxy = New(Options{SpoolDir: t.TempDir(), Timeouts: timeouts})
	s.proxy.SetTable(site.NewTable([]site.Route{{Hosts: []string{"site.test"}, Site: st}}))
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := s.proxy.newHTTPServer()
	go server.Serve(l)
	t.Cleanup(func() {
		close(l.done)
		server.Close()
	})
	return func() *pipePeer {
		client, conn := net.Pipe()
		l.conns <- conn
		t.Cleanup(func() { client.Close() })
		return &pipePeer{Conn: client, t: t, br: bufio.NewReaderSize(client, 16)}
	}, s
}

type pipePeer struct {
	net.Conn
	t  *testing.T
	br *bufio.Reader
}

func (p *pipePeer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipePeer) whole() (*http.Response, string) {
	p.t.Helper()
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(b)
}
