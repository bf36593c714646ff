package fastloop

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// maxAccepts is how many connections are accepted before others get their turn.
const maxAccepts = 64

// Listen accepts connections from a listener from now on, with a copy of its descriptor.
func (l *Loop) Listen(tcp *net.TCPListener) error { return l.listen(tcp, false) }

func (l *Loop) listen(tcp *net.TCPListener, secured bool) error {
	fd, err := wire.Dup(tcp)
	if err != nil {
		return err
	}
	keepAlive(fd)
	if !l.post(func() {
		if l.isClosing() {
			unix.Close(fd)
			return
		}
		l.accepting[fd], l.secured[fd] = true, secured
		if err := l.watch(fd, unix.EPOLLIN); err != nil {
			l.o.Log.Error("cannot watch a listener", "error", err)
		}
	}) {
		unix.Close(fd)
	}
	return nil
}

func (l *Loop) accept(fd int) {
	for range maxAccepts {
		conn, sa, err := syscall.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) // that of unix asks for the protocol, too
		switch err {
		case nil:
			scarce := conn >= l.reserve
			full := scarce && !l.makeRoom()
			if scarce {
				conn = l.lower(conn)
			}
			peer := addrPort(sa)
			s := l.seatFor(peer)
			if s == nil {
				unix.Close(conn)
				continue
			}
			if c := l.add(conn, peer, nil, l.o.Timeouts.Header); c != nil {
				c.hello = l.secured[fd]
			}
			l.sit(conn, s)
			if full {
				l.hold(fd)
				return
			}
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
			if !l.makeRoom() {
				l.hold(fd)
				return
			}
		}
	}
}

// hold accepts no more from a listener, until resumeAccepting.
func (l *Loop) hold(fd int) {
	l.Unwatch(fd)
	l.accepting[fd] = false
}

// resumeAccepting undoes hold, if the loop is not paused and there are descriptors.
func (l *Loop) resumeAccepting() {
	if l.paused || l.listens() || !l.hasRoom() && !l.makeRoom() && !l.isEmpty() {
		return
	}
	for fd, on := range l.accepting {
		if !on && !(l.endingTLS && l.secured[fd]) && l.watch(fd, unix.EPOLLIN) == nil {
			l.accepting[fd] = true
		}
	}
}

// listens reports whether no listener is on hold.
func (l *Loop) listens() bool {
	for _, on := range l.accepting {
		if !on {
			return false
		}
	}
	return true
}

// stopListening ends accepting for good.
func (l *Loop) stopListening() {
	for fd := range l.accepting {
		l.Unwatch(fd) // closing is not enough: the listener's owner has the socket, too
		unix.Close(fd)
		delete(l.accepting, fd)
		delete(l.secured, fd)
	}
}

// keepAlive sets what package net sets on an accepted connection. Connections have it from
// their listener.
func keepAlive(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // a connection works without any of these
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
}

// addrPort formats a socket's address as package net does, but without a zone, which
// an application could not parse as an address.
func addrPort(sa syscall.Sockaddr) string {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)).String()
	}
	return ""
}
