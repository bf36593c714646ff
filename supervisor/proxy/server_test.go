package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// TestMain checks, after all tests, that no exchange goes on: one whose connection was
// just closed may take a moment to notice.
func TestMain(m *testing.M) {
	code := m.Run()
	tick, deadline := time.Tick(10*time.Millisecond), time.Now().Add(20*time.Second)
	for left := leftRunning(); left != ""; left = leftRunning() {
		if time.Now().After(deadline) {
			os.Stderr.WriteString("left running:\n" + left)
			code = 1
			break
		}
		<-tick
	}
	os.Exit(code)
}

// leftRunning returns the stacks of what must have ended.
func leftRunning() (left string) {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "proxy.(*exchange)") || strings.Contains(stack, "spool.(*Spool)") || strings.Contains(stack, "fastloop.(*Loop)") {
			left += stack + "\n\n"
		}
	}
	return left
}

// server is a Proxy behind a real net/http server on loopback.
type server struct {
	*httptest.Server
	tb      testing.TB
	proxy   *Proxy
	logs    *buffer
	entries chan site.Entry
}

// start serves routes until the test ends. Then it checks that no temporary file
// is left, neither in the directory nor open.
func start(tb testing.TB, o Options, routes ...site.Route) *server {
	tb.Helper()
	s := &server{tb: tb, logs: &buffer{}, entries: make(chan site.Entry, 256)}
	if o.SpoolDir == "" {
		o.SpoolDir = tb.TempDir()
	}
	o.Timeouts = orPatient(o.Timeouts)
	o.Log = slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.proxy = New(o)
	for _, r := range routes {
		s.complete(r.Site)
	}
	s.proxy.SetTable(site.NewTable(routes))
	tb.Cleanup(func() { checkNoFiles(tb, o.SpoolDir) })
	s.listen()
	tb.Cleanup(s.Close)
	return s
}

// complete gives a site what every site has.
func (s *server) complete(st *site.Site) {
	st.Log = slog.New(slog.NewTextHandler(s.logs, nil))
	st.Access = func(e *site.Entry) { s.entries <- *e }
	if st.Stats == nil {
		st.Stats = &site.Stats{}
	}
}

func (s *server) listen() {
	var serving sync.WaitGroup
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = s.proxy.newHTTPServer()
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		s.proxy.ServeHTTP(w, r)
	})
	s.Start()
	s.tb.Cleanup(s.proxy.files.Clear)
	s.tb.Cleanup(serving.Wait) // Close forgets connections that were hijacked
}

// startSite serves one site, at the host site.test.
func startSite(tb testing.TB, b site.Backend, change ...func(*site.Site)) *server {
	tb.Helper()
	st := &site.Site{Name: "site", Backend: b}
	for _, f := range change {
		f(st)
	}
	return start(tb, Options{}, site.Route{Hosts: []string{"site.test"}, Mount: "/", Site: st})
}

func checkNoFiles(tb testing.TB, dir string) {
	tb.Helper()
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) > 0 {
		tb.Errorf("temporary files are left: %q", names)
	}
	checkClosed(tb, dir)
}

// checkClosed fails for what is still open of a directory.
func checkClosed(tb testing.TB, dir string) {
	tb.Helper()
	for _, name := range openOf(tb, dir) {
		tb.Errorf("still open: %s", name)
	}
}

// openOf returns what is open of a directory.
func openOf(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	for _, fd := range fds {
		if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name+"/", dir+"/") {
			names = append(names, name)
		}
	}
	return names
}

// do sends a request to site.test and returns the answer and its whole body.
func (s *server) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	s.tb.Helper()
	resp, err := s.Client().Do(s.request(method, path, body, header...))
	if err != nil {
		s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return resp, string(b)
}

func (s *server) request(method, path string, body io.Reader, header ...string) *http.Request {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(s.tb.Context(), method, s.URL+path, body)
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Host = "site.test"
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1]) // not Add: the name goes as it is
	}
	return r
}

// peer is a client that says what it likes.
type peer struct {
	*net.TCPConn
	tb testing.TB
	br *bufio.Reader

	secure *tls.Conn // on top of TCPConn; nil: no TLS
}

// dial connects and sends text.
func (s *server) dial(text string) *peer {
	s.tb.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { c.Close() })
	p := &peer{TCPConn: c.(*net.TCPConn), tb: s.tb, br: bufio.NewReader(c)}
	p.send(text)
	return p
}

func (p *peer) send(text string) {
	p.tb.Helper()
	if text == "" { // it would begin the handshake of TLS
		return
	}
	if _, err := io.WriteString(p, text); err != nil {
		p.tb.Fatal(err)
	}
}

// answer reads one answer without its body.
func (p *peer) answer(method string) *http.Response {
	p.tb.Helper()
	resp, err := http.ReadResponse(p.br, &http.Request{Method: method})
	if err != nil {
		p.tb.Fatal(err)
	}
	return resp
}

// whole reads one whole answer.
func (p *peer) whole(method string) (*http.Response, string) {
	p.tb.Helper()
	resp := p.answer(method)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.tb.Fatal(err)
	}
	return resp, string(b)
}
