package fastloop

import "golang.org/x/sys/unix"

// Reattach makes a detached connection the loop's again. buffered is what was read of its
// next request.
func (l *Loop) Reattach(s *Socket, buffered []byte) error {
	seat := s.seat.Swap(nil)
	fd, err := s.takeFD()
	if err != nil {
		seat.leave()
		return err
	}
	l.take(l.lower(fd), string(s.peer), seat, buffered, s.secure, false)
	return nil
}

// take makes a descriptor the loop's.
func (l *Loop) take(fd int, peer string, seat *seat, buffered []byte, s *secure, hello bool) {
	if !l.post(func() {
		c := l.add(fd, peer, s, l.o.Timeouts.Idle)
		if l.sit(fd, seat); c != nil {
			c.buffered, c.hello = buffered, hello
			c.unread = s != nil // crypto/tls may have read it already
			c.goOn()
		}
	}) {
		seat.leave()
		unix.Close(fd)
	}
}

// Linger closes a detached connection after its last answer.
func (l *Loop) Linger(s *Socket) error {
	seat := s.seat.Swap(nil)
	fd, err := s.takeFD()
	if err == nil && l.post(func() {
		_ = l.watch(fd, clientEvents) // without events it is closed at LingerTime
		s.secure.keep(fd)
		l.startLinger(&client{loop: l, fd: fd, seat: seat, secure: s.secure})
	}) {
		return nil
	}
	seat.leave()
	if err == nil {
		unix.Close(fd)
	}
	return err
}
