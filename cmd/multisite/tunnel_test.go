package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

const tunnelSites = pythonSites + `
graceful_timeout = "30s"
[site.subdomain1]
server_name = "subdomain1.example.com"
settings = "subdomain1_settings"
[site.hello]
server_name = "hello.example.com"
app = "./goapp"
processes = 2
threads = 1
max_tunnels = 3
`

// tunnel is a client's connection that has left HTTP.
type tunnel struct {
	*net.TCPConn
	t  testing.TB
	br *bufio.Reader
}

// switchOver asks a site for a tunnel, and returns it with the answer.
func (r *running) switchOver(host, target string) (*tunnel, *http.Response) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience)) // it is open
	// The first bytes follow the request at once.
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo/1\r\nUser-Agent: tunneler\r\n\r\nearly\n", target, host)
	c := &tunnel{conn.(*net.TCPConn), r.t, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, resp
}

// tunnelTo is switchOver that succeeds.
func (r *running) tunnelTo(target string) *tunnel {
	r.t.Helper()
	c, resp := r.switchOver(helloHost, target)
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo/1" || resp.Header.Get("X-Path") != target {
		r.t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
	}
	c.wantLine("early")
	return c
}

func (c *tunnel) wantLine(want string) {
	c.t.Helper()
	if line, err := c.br.ReadString('\n'); err != nil || line != want+"\n" {
		c.t.Fatalf("got %q, %v, want %q", line, err, want)
	}
}

// wantEcho checks that the tunnel works.
func (c *tunnel) wantEcho(text string) {
	c.t.Helper()
	fmt.Fprintln(c, text)
	c.wantLine(text)
}

func (c *tunnel) wantEnd() {
	c.t.Helper()
	if b, err := io.ReadAll(c.br); err != nil || len(b) > 0 {
		c.t.Fatalf("got %q, %v, want the end", b, err)
	}
}

// awaitNoTunnel waits until the places of all tunnels are free.
func (r *running) awaitNoTunnel() {
	r.t.Helper()
	eventually(r.t, "the tunnels to end", func() bool { return r.site("hello").Tunnels.Open == 0 })
}

// TestTunnels are WebSockets and their like, with real workers.
func TestTunnels(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, tunnelSites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	r.parts(t, []part{
		{"bytes go both ways", tunnelEchoes},
		{"a WebSocket", tunnelWebSocket},
		{"a site has so many", tunnelLimit},
		{"a Python site answers as always", tunnelNotForPython},
		{"HTTP in another form is not passed on", tunnelNotForHTTP},
		{"reload of another site and scale keep it", tunnelStays},
		{"an upgrade keeps it, with every byte", tunnelUpgrade},
		{"a restart of its site lets it say goodbye", tunnelGoodbye},
	})
}

func tunnelEchoes(t *testing.T, r *running) {
	c := r.tunnelTo("/echo?a=b")
	c.wantEcho("hello")
	// Each worker has one thread, and the tunnel takes none.
	for range 4 {
		if a := r.get(helloHost, "/"); a.status != 200 {
			t.Errorf("a request beside it: %d", a.status)
		}
	}
	s := r.site("hello")
	if s.Tunnels.Open != 1 || s.Workers[0].Tunnels+s.Workers[1].Tunnels != 1 || s.Requests.Active != 0 {
		t.Errorf("status: %+v, workers %+v, active %d", s.Tunnels, s.Workers, s.Requests.Active)
	}
	if out := r.must("status", "hello"); !strings.Contains(out, "1 open, 0 refused (max_tunnels)\n") {
		t.Errorf("status prints\n%s", out)
	}
	fmt.Fprint(c, "last words\n")
	c.CloseWrite()
	c.wantLine("last words")
	c.wantEnd()
	r.awaitNoTunnel()
	line := ""
	eventually(t, "the line of the access log", func() bool {
		for l := range strings.Lines(readLog(r, "hello.access.log")) {
			if strings.Contains(l, "/echo?a=b") {
				line = l
			}
		}
		return line != ""
	})
	if want := fmt.Sprintf(`"GET /echo?a=b HTTP/1.1" 101 %d "-" "tunneler" `, len("early\nhello\nlast words\n")); !strings.Contains(line, want) {
		t.Errorf("logged %s, want %s", line, want)
	}
}

// readLog returns a log file of the supervisor, which may not exist yet.
func readLog(r *running, name string) string {
	b, _ := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", name))
	return string(b)
}

func (r *running) webSocket() *websocket.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	config, err := websocket.NewConfig("ws://"+helloHost+"/websocket", "http://"+helloHost)
	if err != nil {
		r.t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, conn)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ws.Close() })
	return ws
}

func tunnelWebSocket(t *testing.T, r *running) {
	ws := r.webSocket()
	long := strings.Repeat("long ", 100_000)
	for _, message := range []string{"hello", long, ""} {
		var got string
		if err := websocket.Message.Send(ws, message); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(ws, &got); err != nil || got != message {
			t.Errorf("sent %d bytes, got %d, %v", len(message), len(got), err)
		}
	}
}

func tunnelLimit(t *testing.T, r *running) {
	r.awaitNoTunnel()
	var all []*tunnel
	for range 3 {
		all = append(all, r.tunnelTo("/echo"))
	}
	if _, resp := r.switchOver(helloHost, "/echo"); resp.StatusCode != 503 {
		t.Errorf("the fourth got %d", resp.StatusCode)
	}
	if got := r.site("hello").Tunnels; got.Open != 3 || got.Refused != 1 {
		t.Errorf("status: %+v", got)
	}
	for _, c := range all {
		c.Close()
	}
	r.awaitNoTunnel()
	for range 5 { // a request that is not answered with 101 gives its place back
		if _, resp := r.switchOver(helloHost, "/"); resp.StatusCode != 200 {
			t.Errorf("an ordinary answer: %d", resp.StatusCode)
		}
	}
	r.tunnelTo("/echo").Close()
}

func tunnelNotForPython(t *testing.T, r *running) {
	_, resp := r.switchOver(host1, "/hello/")
	if resp.StatusCode != 200 {
		t.Errorf("got %d, want an ordinary answer", resp.StatusCode)
	}
}

func tunnelNotForHTTP(t *testing.T, r *running) {
	for _, protocol := range []string{"h2c", "HTTP/2.0", "TLS/1.3", "echo, h2c"} {
		req := newRequest(t, "GET", helloHost, "/echo", nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", protocol)
		a, err := r.newVisitor().do(req)
		if err != nil || a.status != 200 {
			t.Errorf("Upgrade: %s: got %d, %v, want an ordinary answer", protocol, a.status, err)
		}
	}
}

func tunnelStays(t *testing.T, r *running) {
	c := r.tunnelTo("/echo")
	r.must("restart", "subdomain1")
	c.wantEcho("after a restart of another site")
	r.must("scale", "hello", "4")
	c.wantEcho("after a scale up")
	r.must("scale", "hello", "1") // the worker that stays is the one with the tunnel
	c.wantEcho("after a scale down")
	r.must("scale", "hello", "2")
	c.Close()
}

// tunnelUpgrade: bytes flow all the time, and none is lost or comes twice.
func tunnelUpgrade(t *testing.T, r *running) {
	r.awaitNoTunnel()
	idle, full, c := r.tunnelTo("/echo"), r.tunnelTo("/echo"), r.tunnelTo("/echo")
	flood := strings.Repeat("what nobody reads during the upgrade ", 1<<18)
	flooding := make(chan error, 1)
	go func() {
		_, err := io.WriteString(full, flood)
		flooding <- err
	}()
	quit, sent := make(chan struct{}), make(chan int)
	go func() {
		w := bufio.NewWriterSize(c, 3000)
		for n := 0; ; n++ {
			select {
			case <-quit:
				w.Flush()
				c.CloseWrite()
				sent <- n
				return
			default:
				fmt.Fprintln(w, n)
			}
		}
	}()
	got := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			line, err := c.br.ReadString('\n')
			if err != nil || line != fmt.Sprintln(n) {
				if err != io.EOF || line != "" {
					t.Errorf("line %d: got %q, %v", n, line, err)
				}
				break
			}
		}
		got <- n
	}()
	for range 3 {
		r.upgrade()
		idle.wantEcho("still here")
		if s := r.site("hello"); s.Tunnels.Open != 3 || s.Workers[0].Tunnels+s.Workers[1].Tunnels != 3 {
			t.Errorf("after an upgrade: %+v, workers %+v", s.Tunnels, s.Workers)
		}
	}
	close(quit)
	if s, g := <-sent, <-got; s != g || s == 0 {
		t.Errorf("%d lines were sent, %d came back", s, g)
	}
	back := make([]byte, len(flood))
	if _, err := io.ReadFull(full.br, back); err != nil || string(back) != flood {
		t.Errorf("what was not read at once came back as %d other bytes, %v", len(back), err)
	}
	if err := <-flooding; err != nil {
		t.Error(err)
	}
	idle.Close()
	full.Close()
	r.awaitNoTunnel()
	counted := fmt.Sprintf(` 101 %d "-" "tunneler"`, len("early\n")+len(flood)) // over all upgrades
	eventually(t, "the access log to have"+counted, func() bool { return strings.Contains(readLog(r, "hello.access.log"), counted) })
}

func tunnelGoodbye(t *testing.T, r *running) {
	r.awaitNoTunnel()
	c, ws := r.tunnelTo("/echo"), r.webSocket()
	r.must("restart", "hello")
	c.wantLine("goodbye")
	c.wantEnd()
	if _, err := ws.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the WebSocket got %v, want that it is closed", err)
	}
	r.tunnelTo("/echo").Close() // by the new workers
	r.awaitNoTunnel()
	deaf := r.tunnelTo("/echo?deaf=1")
	r.rewrite(`graceful_timeout = "30s"`, `graceful_timeout = "100ms"`)
	r.must("reload")
	r.must("restart", "hello")
	deaf.wantEnd()
	if log := r.siteLog("hello"); strings.Contains(log, "limit=shutdown_timeout") {
		t.Errorf("a worker was killed, want that it ends once its tunnel is cut:\n%s", log)
	}
}
