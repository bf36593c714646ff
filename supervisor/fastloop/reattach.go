package fastloop

import "golang.org/x/sys/unix"

// Reattach makes a detached connection the loop's again. buffered is what was read of its
// next request.
func (l *Loop) Reattach(s *Socket, buffered []byte) error {
	fd, err := s.takeFD()
	if err == nil {
		l.take(l.lower(fd), string(s.peer), buffered)
	}
	return err
}

// take makes a descriptor the loop's.
func (l *Loop) take(fd int, peer string, buffered []byte) {
	if !l.post(func() {
		l.add(fd, peer, l.o.Timeouts.Idle)
		if c := l.clients[fd]; c != nil {
			c.buffered = buffered
			c.goOn()
		}
	}) {
		unix.Close(fd)
	}
}

// Linger closes a detached connection after its last answer.
func (l *Loop) Linger(s *Socket) error {
	fd, err := s.takeFD()
	if err == nil && !l.post(func() {
		_ = l.watch(fd, clientEvents) // without events it is closed at LingerTime
		l.startLinger(&client{loop: l, fd: fd})
	}) {
		unix.Close(fd)
	}
	return err
}
