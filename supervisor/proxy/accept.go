package proxy

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// acceptAtOnce is how many connections are accepted before others get their turn.
const acceptAtOnce = 64

// listen accepts from a listener from now on. The loop has a descriptor of its own.
func (l *Loop) listen(tcp *net.TCPListener) error {
	fd, err := wire.Dup(tcp)
	if err != nil {
		return err
	}
	if !l.post(func() {
		if l.isClosing() {
			unix.Close(fd)
			return
		}
		l.accepting[fd] = true
		if err := l.watch(fd, unix.EPOLLIN); err != nil {
			l.proxy.log.Error("not listening", "error", err)
		}
	}) {
		unix.Close(fd)
	}
	return nil
}

func (l *Loop) accept(fd int) {
	for range acceptAtOnce {
		conn, sa, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			keepAlive(conn)
			local, _ := unix.Getsockname(conn) // "" serves as well
			full := conn >= l.most && !l.makeRoom()
			l.add(l.lower(conn), addrPort(sa), addrPort(local), l.proxy.timeouts.Header)
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

// hold accepts no more from a listener, until resume.
func (l *Loop) hold(fd int) {
	l.Unwatch(fd)
	l.accepting[fd] = false
}

// resume accepts again after a pause, if there is room.
func (l *Loop) resume() {
	if l.paused || l.listens() || !l.hasRoom() && !l.makeRoom() && !l.isEmpty() {
		return
	}
	for fd, on := range l.accepting {
		if !on && l.watch(fd, unix.EPOLLIN) == nil {
			l.accepting[fd] = true
		}
	}
}

// listens tells whether every listener is accepted from.
func (l *Loop) listens() bool {
	for _, on := range l.accepting {
		if !on {
			return false
		}
	}
	return true
}

// deafen ends accepting.
func (l *Loop) deafen() {
	for fd := range l.accepting {
		l.Unwatch(fd) // others may have the socket, too: it is not closed
		unix.Close(fd)
		delete(l.accepting, fd)
	}
}

// keepAlive sets what package net sets on an accepted connection.
func keepAlive(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // no connection fails for these
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
}

// addrPort writes a socket's address as package net does, but without a zone, which
// would not be an address to an application.
func addrPort(sa unix.Sockaddr) string {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)).String()
	}
	return ""
}
