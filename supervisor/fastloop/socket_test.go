package fastloop

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// TestSocket_FailsAsNetDoes: the errors are those of package net, since net/http looks at
// them.
func TestSocket_FailsAsNetDoes(t *testing.T) {
	t.Parallel()
	near, far := tcpPair(t)
	fd, err := wire.Dup(near)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSocket(fd, "192.0.2.1:1", "192.0.2.2:2")
	_ = s.SetReadDeadline(time.Unix(1, 0))
	_, err = s.Read(make([]byte, 1))
	var op *net.OpError
	if !errors.As(err, &op) || !op.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = s.SetReadDeadline(time.Time{})
	_ = far.SetLinger(0)
	far.Close()
	if _, err = s.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	if s.RemoteAddr().String() != "192.0.2.1:1" || s.LocalAddr().String() != "192.0.2.2:2" {
		t.Errorf("got %v, %v", s.RemoteAddr(), s.LocalAddr())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAddrPort writes what package net does, without a zone.
func TestAddrPort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sa   syscall.Sockaddr
		want net.TCPAddr
	}{
		{&syscall.SockaddrInet4{Port: 80, Addr: [4]byte{192, 0, 2, 1}}, net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}},
		{&syscall.SockaddrInet6{Port: 80, Addr: [16]byte{15: 1}}, net.TCPAddr{IP: net.IPv6loopback, Port: 80}},
		{&syscall.SockaddrInet6{Port: 80, Addr: [16]byte(net.IPv4(192, 0, 2, 1))}, net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}},
		{&syscall.SockaddrInet6{Port: 80, ZoneId: 1, Addr: [16]byte{0xfe, 0x80, 15: 1}}, net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 80}},
	} {
		if got, want := addrPort(test.sa), test.want.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return accepted.(*net.TCPConn), c.(*net.TCPConn)
}
