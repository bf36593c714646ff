package proxy

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoop_OutOfDescriptors runs in a process of its own, which has few. Clients
// wait, nobody is refused, and they are accepted when others have left.
func TestLoop_OutOfDescriptors(t *testing.T) {
	const alone = "MULTISITE_TEST_FEW_DESCRIPTORS"
	if os.Getenv(alone) == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLoop_OutOfDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestLoop_OutOfDescriptors") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	f := startFront(t, newCrew(t, 1, echo), Options{})
	first := f.dial(get("/first"))
	first.wantBody("/first")
	waiting := rawClients(t, f.addr, 40)
	limit := unix.Rlimit{Cur: uint64(descriptors(t) + 4), Max: 4096}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	waiting.connect(t)
	until(t, "paused", func() (is bool) {
		f.loop.do(func() { is = !f.loop.listens() })
		return is
	})
	limit.Cur = 1024
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	waiting.wantAnswers(t)
	f.wantMine(first, true)
	if !strings.Contains(f.logs.String(), "the limit of open files is reached") {
		t.Errorf("not logged:\n%s", f.logs)
	}
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

func (c *clients) wantAnswers(t *testing.T) {
	t.Helper()
	for _, fd := range c.fds {
		if _, err := unix.Write(fd, []byte(get("/waited"))); err != nil {
			t.Fatal(err)
		}
	}
	for i, fd := range c.fds {
		b := make([]byte, 4096)
		if n, err := unix.Read(fd, b); err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 OK\r\n") {
			t.Errorf("client %d got %q (%v)", i, b[:max(n, 0)], err)
		}
	}
}
