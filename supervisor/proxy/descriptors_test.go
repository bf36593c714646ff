package proxy

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/worker/wire"
)

// apart runs a test in a process of its own, which may open few files. It returns
// false in the process that only waits for that.
func apart(t *testing.T) bool {
	t.Helper()
	const alone = "MULTISITE_TEST_FEW_DESCRIPTORS"
	if os.Getenv(alone) != "" {
		return true
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// mayOpen sets how many descriptors there may be.
func mayOpen(t *testing.T, all int) {
	t.Helper()
	limit := unix.Rlimit{Cur: uint64(all), Max: 4096}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// TestLoop_OutOfDescriptors: when descriptors run out all of a sudden, clients wait;
// none is refused, and they are accepted when others have disconnected.
func TestLoop_OutOfDescriptors(t *testing.T) {
	if !apart(t) {
		return
	}
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	first := f.dial(get("/slow"))
	<-began
	waiting := rawClients(t, f.addr, 40)
	mayOpen(t, descriptors(t)+4)
	waiting.connect(t)
	until(t, "paused", func() (is bool) {
		f.loop.Inspect(func(v fastloop.View) { is = !v.Listens() })
		return is
	})
	mayOpen(t, 1024)
	letGo <- nil
	first.wantBody("/slow")
	waiting.wantAnswers(t)
	f.wantMine(first, true)
	if n := strings.Count(f.logs.String(), "the limit of open files is reached"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, f.logs)
	}
}

// TestLoop_KeepsAReserve: the loop keeps a reserve of descriptors for requests that go
// on in net/http: these are all answered, although there are more clients than
// descriptors.
func TestLoop_KeepsAReserve(t *testing.T) {
	if !apart(t) {
		return
	}
	d, began, letGo := gated()
	c, l := newCrew(t, 2, d), loopback(t, 0)
	many := rawClients(t, l.Addr().String(), 110)
	mayOpen(t, descriptors(t)+80) // 64 are the reserve
	f := startFrontOn(t, l, c, Options{})
	many.connect(t)
	many.send(t, get("/slow"))
	<-began
	<-began
	until(t, "paused", func() (is bool) {
		f.loop.Inspect(func(v fastloop.View) { is = !v.Listens() && v.Clients() == 0 })
		return is
	})
	f.loop.Inspect(func(v fastloop.View) {
		if v.ResumeAccepting(); v.Listens() {
			t.Error("it accepts without room")
		}
	})
	close(letGo)
	many.wantOK(t)
	if n := strings.Count(f.logs.String(), "level=WARN"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, f.logs)
	}
}

// TestLoop_MakesRoom: the loop makes room by closing the connections that have been
// idle longest.
func TestLoop_MakesRoom(t *testing.T) {
	if !apart(t) {
		return
	}
	c, l := newCrew(t, 1, echo), loopback(t, 0)
	many := rawClients(t, l.Addr().String(), 100)
	mayOpen(t, descriptors(t)+80)
	f := startFrontOn(t, l, c, Options{})
	for i := range many.fds {
		one := &clients{many.fds[i : i+1], many.addr}
		one.connect(t)
		one.wantAnswers(t)
		f.loop.Inspect(func(v fastloop.View) { v.Age(10*time.Second, false) })
	}
	f.loop.Inspect(func(v fastloop.View) {
		if n := v.InReserve(); n > 0 {
			t.Errorf("%d clients have descriptors of the reserve", n)
		}
	})
	if n, err := unix.Read(many.fds[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the first client got %d bytes (%v), want the end", n, err)
	}
	last := &clients{many.fds[len(many.fds)-5:], many.addr}
	last.wantAnswers(t)
}

// TestLoop_MakesRoomOfHalfHeads: to have sent a byte of a request is no reason to keep
// others away.
func TestLoop_MakesRoomOfHalfHeads(t *testing.T) {
	if !apart(t) {
		return
	}
	c, l := newCrew(t, 1, echo), loopback(t, 0)
	many := rawClients(t, l.Addr().String(), 100)
	mayOpen(t, descriptors(t)+80)
	f := startFrontOn(t, l, c, Options{Timeouts: Timeouts{Header: time.Hour}})
	const few = 10
	half := &clients{many.fds[:few], many.addr}
	half.connect(t)
	half.send(t, "G")
	until(t, "read", func() (are bool) {
		f.loop.Inspect(func(v fastloop.View) {
			if are = v.HalfHeads() == few; are {
				v.Age(9*time.Second, true)
			}
		})
		return are
	})
	for i := few; i < len(many.fds); i++ {
		one := &clients{many.fds[i : i+1], many.addr}
		one.connect(t)
		one.wantAnswers(t)
		f.loop.Inspect(func(v fastloop.View) { v.Age(5*time.Second, false) })
	}
	for _, fd := range half.fds {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Read(fd, make([]byte, 1)); n != 0 && err != unix.ECONNRESET {
			t.Errorf("got %d bytes (%v), want the end", n, err)
		}
	}
}

// TestLoop_MakesRoomOfStalledClients: nor is it to have sent a part of a body, or to take
// nothing of an answer.
func TestLoop_MakesRoomOfStalledClients(t *testing.T) {
	if !apart(t) {
		return
	}
	for name, request := range map[string]string{
		"half bodies":             "POST /half HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\n\r\nx",
		"readers of the loop":     get("/large"),
		"readers in the loop":     get("/page"),
		"readers behind net/http": strings.Replace(get("/large"), "Host", "TE: trailers\r\nHost", 1),
	} {
		t.Run(name, func(t *testing.T) { wantRoomBeside(t, request) })
	}
}

// wantRoomBeside fills all descriptors with clients that send a request and then nothing.
func wantRoomBeside(t *testing.T, request string) {
	large := &wire.Answer{Status: 200, Body: []byte(strings.Repeat("x", 100<<10))}
	c, l := newCrew(t, 1, func(w *crewWorker, uri string) *wire.Answer {
		if strings.HasSuffix(uri, "large") {
			return large
		}
		return answersPage(w, uri)
	}), loopback(t, 4096)
	many := rawClients(t, l.Addr().String(), 30)
	last := rawClients(t, l.Addr().String(), 1)
	for _, fd := range many.fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 2048); err != nil {
			t.Fatal(err)
		}
	}
	mayOpen(t, descriptors(t)+80) // 64 are the reserve
	f := startFrontOn(t, l, c, Options{Timeouts: Timeouts{Client: time.Hour}})
	many.connect(t)
	many.send(t, request)
	until(t, "full", func() (is bool) {
		f.loop.Inspect(func(v fastloop.View) { is = !v.Listens() && v.Clients() == v.Waiting() })
		return is && f.stall(0) > 0
	})
	last.connect(t)
	last.send(t, get("/last"))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		last.wantOK(t)
	}()
	until(t, "answered", func() bool {
		f.stall(time.Minute)
		f.loop.Inspect(fastloop.View.ResumeAccepting)
		select {
		case <-answered:
			return true
		default:
			return false
		}
	})
	f.end()
}

// stall lets all waits for clients appear longer, and returns how many there are.
func (f *front) stall(longer time.Duration) (n int) {
	f.loop.Inspect(func(v fastloop.View) { n = v.AgeOutput(longer) })
	return n + f.loop.Conns().AgeWaits(longer)
}

// clients are sockets that exist before they connect.
type clients struct {
	fds  []int
	addr unix.SockaddrInet4
}

func rawClients(t *testing.T, addr string, n int) *clients {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{addr: unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}}
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		c.fds = append(c.fds, fd)
	}
	return c
}

func (c *clients) connect(t *testing.T) {
	t.Helper()
	for _, fd := range c.fds {
		if err := unix.Connect(fd, &c.addr); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *clients) send(t *testing.T, text string) {
	t.Helper()
	for _, fd := range c.fds {
		if _, err := unix.Write(fd, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *clients) wantAnswers(t *testing.T) {
	t.Helper()
	c.send(t, get("/waited"))
	c.wantOK(t)
}

func (c *clients) wantOK(t *testing.T) {
	t.Helper()
	for i, fd := range c.fds {
		b := make([]byte, 4096)
		if n, err := unix.Read(fd, b); err != nil || !strings.HasPrefix(string(b[:max(n, 0)]), "HTTP/1.1 200 OK\r\n") {
			t.Errorf("client %d got %q (%v)", i, b[:max(n, 0)], err)
		}
	}
}

// TestServer_IdleIsAllOrNothing: no client is forgotten for want of descriptors.
func TestServer_IdleIsAllOrNothing(t *testing.T) {
	if !apart(t) {
		return
	}
	f := startFront(t, newCrew(t, 1, echo), Options{})
	var peers []*peer
	for range 5 {
		p := f.dial(get("/a"))
		p.wantBody("/a")
		peers = append(peers, p)
	}
	if err := f.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	mayOpen(t, descriptors(t)+2)
	before := descriptors(t)
	clients, err := f.Idle()
	if !errors.Is(err, unix.EMFILE) || len(clients) > 0 || !strings.Contains(err.Error(), "clients") {
		t.Errorf("got %d clients (%v)", len(clients), err)
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are left open", n-before)
	}
	mayOpen(t, 1024)
	f.Resume()
	for _, p := range peers {
		p.send(get("/b"))
		p.wantBody("/b")
	}
}
