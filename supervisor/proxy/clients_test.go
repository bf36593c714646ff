package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

// from asks from one of loopback's many addresses, on a connection of its own.
func (s *server) from(addr, header string) *peer {
	s.tb.Helper()
	p := dialFrom(s.tb, addr, s.Listener.Addr().String())
	p.send("GET / HTTP/1.1\r\nHost: site.test\r\n" + header + "\r\n")
	return p
}

func dialFrom(tb testing.TB, addr, to string) *peer {
	tb.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	c, err := d.DialContext(tb.Context(), "tcp", to)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return &peer{TCPConn: c.(*net.TCPConn), tb: tb, br: bufio.NewReader(c)}
}

func (p *peer) wantStatus(want int) *http.Response {
	p.tb.Helper()
	resp, body := p.whole("GET")
	if resp.StatusCode != want {
		p.tb.Errorf("got %d, want %d\n%s", resp.StatusCode, want, body)
	}
	return resp
}

// held answers when it is let go.
func held() (a answer, began chan bool, letGo chan bool) {
	began, letGo = make(chan bool, 100), make(chan bool)
	return func(r *http.Request) (*http.Response, error) {
		began <- true
		<-letGo
		return says(200, "ok")(r)
	}, began, letGo
}

func TestClients_AnAddressHasSoManyAtOnce(t *testing.T) {
	t.Parallel()
	a, began, letGo := held()
	clients := &site.Clients{}
	s := startSite(t, newBackend(t, a), func(st *site.Site) { st.MaxPerAddress, st.Clients = 2, clients })
	first, second := s.from("127.0.0.1", ""), s.from("127.0.0.1", "")
	<-began
	<-began
	resp := s.from("127.0.0.1", "").wantStatus(http.StatusTooManyRequests)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	if !strings.Contains(s.logs.String(), "status=429 limit=max_clients_per_ip") {
		t.Errorf("the log does not name the limit:\n%s", s.logs)
	}
	other := s.from("127.0.0.2", "")
	<-began
	close(letGo)
	for _, p := range []*peer{first, second, other} {
		p.wantStatus(200)
	}
	for range 3 { // <- answered: there is room again, on whichever connection
		<-s.entries
	}
	s.from("127.0.0.1", "").wantStatus(200)
	for range 2 { // the refused one and the last
		<-s.entries
	}
	if n := clients.Len(); n > 0 {
		t.Errorf("%d still counted", n)
	}
}

// TestClients_DisconnectedKeepsItsAdmission: a client that disconnects counts until its
// request has ended.
func TestClients_DisconnectedKeepsItsAdmission(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	clients := &site.Clients{}
	s := startSite(t, newBackend(t, streams(200, r), says(200, "ok")), func(st *site.Site) { st.MaxPerAddress, st.Clients = 1, clients })
	p := s.from("127.0.0.1", "")
	if _, err := io.WriteString(w, "begun"); err != nil {
		t.Fatal(err)
	}
	p.answer("GET")
	s.from("127.0.0.1", "").wantStatus(http.StatusTooManyRequests)
	<-s.entries
	p.Close()
	w.Close()
	<-s.entries
	s.from("127.0.0.1", "").wantStatus(200)
}

func TestClients_BehindATrustedProxy(t *testing.T) {
	t.Parallel()
	a, began, letGo := held()
	st := &site.Site{Name: "site", Backend: newBackend(t, a), MaxPerAddress: 1, Clients: &site.Clients{}}
	trusted := Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}}
	s := start(t, trusted, site.Route{Hosts: []string{"site.test"}, Mount: "/", Site: st})
	one := s.from("127.0.0.3", "X-Forwarded-For: 192.0.2.1\r\n")
	<-began
	two := s.from("127.0.0.3", "X-Forwarded-For: 192.0.2.2\r\n")
	<-began
	s.from("127.0.0.3", "X-Forwarded-For: 192.0.2.1\r\n").wantStatus(http.StatusTooManyRequests)
	close(letGo)
	one.wantStatus(200)
	two.wantStatus(200)
}

func TestClients_NoLimitByDefault(t *testing.T) {
	t.Parallel()
	a, began, letGo := held()
	s := startSite(t, newBackend(t, a))
	var peers []*peer
	for range 50 {
		peers = append(peers, s.from("127.0.0.1", ""))
		<-began
	}
	close(letGo)
	for _, p := range peers {
		p.wantStatus(200)
	}
}
