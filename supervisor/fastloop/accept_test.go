package fastloop

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoop_KeepsConnectionsAlive: an accepted connection has what net/http would set on it.
func TestLoop_KeepsConnectionsAlive(t *testing.T) {
	t.Parallel()
	l, err := New(Options{Timeouts: Timeouts{Header: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := l.Listen(listener.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	go l.Run()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for accepted := false; !accepted; {
		l.do(func() {
			for fd, c := range l.clients {
				accepted = true
				for name, option := range map[string][3]int{
					"TCP_NODELAY":   {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
					"SO_KEEPALIVE":  {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
					"TCP_KEEPIDLE":  {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
					"TCP_KEEPINTVL": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
				} {
					if got, err := unix.GetsockoptInt(fd, option[0], option[1]); got != option[2] {
						t.Errorf("%s: got %d (%v), want %d", name, got, err, option[2])
					}
				}
				s := newSocket(c.remove(), c.peer)
				defer s.Close()
				if s.LocalAddr().String() != listener.Addr().String() || c.peer != conn.LocalAddr().String() {
					t.Errorf("got %s from %s, want %s from %s", s.LocalAddr(), c.peer, listener.Addr(), conn.LocalAddr())
				}
			}
		})
	}
	l.Close()
	<-l.Done()
}
