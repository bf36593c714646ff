package fastloop

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Inspect calls f with a view of the loop, on the loop's thread, or when Run has returned.
// Tests of the front door use it; nothing else does.
func (l *Loop) Inspect(f func(View)) {
	if !l.post(func() {}) {
		<-l.done
		f(View{l})
		return
	}
	l.do(func() { f(View{l}) })
}

// View is the state of a Loop. It is valid during Inspect.
type View struct{ l *Loop }

// Check returns an error if one of the invariants in the package documentation is broken.
func (v View) Check() error {
	l := v.l
	var errs []error
	for c := range l.busy {
		if l.clients[c.fd] != c || c.site == nil {
			errs = append(errs, fmt.Errorf("client %d is busy, but not in clients or without a site", c.fd))
		}
	}
	for fd, c := range l.clients {
		if c.fd != fd || (c.site != nil) != l.busy[c] || l.lingering[fd] != nil {
			errs = append(errs, fmt.Errorf("client %d is busy: %v, has a site: %v, lingers: %v", fd, l.busy[c], c.site != nil, l.lingering[fd] != nil))
		}
		if c.workerFD != 0 && l.heads[c.workerFD] == nil {
			errs = append(errs, fmt.Errorf("client %d is in a line without a head", fd))
		}
	}
	for c := range l.busy {
		if c.reply.begun && c.reply.ended == (c.workerFD != 0) || c.reply.begun && c.isFollower() || !c.output.isEmpty() && !c.reply.begun {
			errs = append(errs, fmt.Errorf("client %d has begun its answer: %v, %d bytes wait, line of %d", c.fd, c.reply.begun, c.output.end-c.output.start, c.workerFD))
		}
	}
	for fd, c := range l.clients {
		if c.site == nil && (c.reply.begun || c.output.block != nil) {
			errs = append(errs, fmt.Errorf("client %d is idle within an answer", fd))
		}
	}
	for fd, c := range l.clients {
		if c.file.file != nil && !c.reply.begun || c.disk != nil && c.site == nil || c.file.queued != slices.Contains(l.sending, c) {
			errs = append(errs, fmt.Errorf("client %d is sent a file: %v, begun: %v, waits for a disk: %v, is queued: %v", fd, c.file.file != nil, c.reply.begun, c.disk != nil, c.file.queued))
		}
	}
	followers := 0
	for fd, head := range l.heads {
		for c := head; c != nil; c = c.next {
			if c.workerFD != fd || c.direct == nil || !l.busy[c] {
				errs = append(errs, fmt.Errorf("client %d is in the line of %d, but not busy there", c.fd, fd))
			}
			if c != head {
				followers++
			}
		}
	}
	if followers != l.followers {
		errs = append(errs, fmt.Errorf("%d followers are counted, %d are in lines", l.followers, followers))
	}
	return errors.Join(errs...)
}

// Empty reports whether the loop has no connection and no listener.
func (v View) Empty() bool {
	l := v.l
	return len(l.clients)+len(l.heads)+len(l.busy)+len(l.lingering)+len(l.accepting) == 0
}

// Clients returns the number of connections that are not detached and do not linger.
func (v View) Clients() int { return len(v.l.clients) }

// Lingering returns the number of connections that linger.
func (v View) Lingering() int { return len(v.l.lingering) }

// HalfHeads returns the number of clients that have sent a part of a head.
func (v View) HalfHeads() int {
	n := 0
	for _, c := range v.l.clients {
		if len(c.buffered) > 0 {
			n++
		}
	}
	return n
}

// Waiting returns the number of clients for which a part of an answer waits.
func (v View) Waiting() int {
	n := 0
	for c := range v.l.busy {
		if c.waits() {
			n++
		}
	}
	return n
}

// AgeOutput makes it appear d since the clients took something of an answer, and returns
// the number of clients.
func (v View) AgeOutput(d time.Duration) int {
	for c := range v.l.busy {
		c.reply.moved = time.Now().Add(-d)
	}
	return v.Waiting()
}

// HalfBodies returns the number of clients that have not sent all of a body.
func (v View) HalfBodies() int {
	n := 0
	for c := range v.l.busy {
		if c.lacksBody() {
			n++
		}
	}
	return n
}

// Unread reports whether a client has sent more while its request is under way.
func (v View) Unread() bool {
	for c := range v.l.busy {
		if c.unread {
			return true
		}
	}
	return false
}

// Silent reports whether the sockets of all clients have nothing to read.
func (v View) Silent() bool {
	for _, c := range v.l.clients {
		if !c.silent() {
			return false
		}
	}
	return true
}

// InReserve returns the number of clients whose descriptors are of the reserve.
func (v View) InReserve() int {
	n := 0
	for fd := range v.l.clients {
		if fd >= v.l.reserve {
			n++
		}
	}
	return n
}

// Listens reports whether no listener is on hold.
func (v View) Listens() bool { return v.l.listens() }

// Paused reports whether the loop is paused.
func (v View) Paused() bool { return v.l.paused }

// Epoll returns the descriptor on which the loop waits.
func (v View) Epoll() int { return v.l.epoll }

// ResumeAccepting does what the loop does every second.
func (v View) ResumeAccepting() { v.l.resumeAccepting() }

// MakeRoom does what the loop does when descriptors are short.
func (v View) MakeRoom() bool { return v.l.makeRoom() }

// LookAround looks at what takes too long as if it were now.
func (v View) LookAround(now time.Time) {
	v.l.looked, v.l.swept = time.Time{}, time.Time{}
	v.l.lookAround(now)
}

// DelayLook makes the loop look at what takes too long only after d.
func (v View) DelayLook(d time.Duration) { v.l.looked = time.Now().Add(d) }

// Age makes the clients appear idle for d longer, if they are idle for less than that.
// half: only those with a part of a head; otherwise only those without.
func (v View) Age(d time.Duration, half bool) {
	for _, c := range v.l.clients {
		if half == (len(c.buffered) > 0) && time.Since(c.start) < d {
			c.start = c.start.Add(-d)
		}
	}
}

// Closing reports whether Shutdown or Close was called.
func (l *Loop) Closing() bool { return l.isClosing() }

// HasPosted reports whether something waits to be run on the loop's thread.
func (l *Loop) HasPosted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.posted) > 0
}

// AllSent reports whether the sockets of all clients have something to read.
func (v View) AllSent() bool {
	for _, c := range v.l.clients {
		if c.silent() {
			return false
		}
	}
	return true
}

// AgeWaits makes all waits for clients appear longer by d, and returns how many there are.
func (s *ConnSet) AgeWaits(d time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.busy {
		if c, ok := conn.(interface{ base() *Socket }); ok {
			if at := c.base().stalledAt.Load(); at != 0 {
				c.base().stalledAt.CompareAndSwap(at, at-int64(d))
				n++
			}
		}
	}
	return n
}

// Handshakes returns how many TLS handshakes run, and how many at most of one address.
func (v View) Handshakes() (running, most int) {
	for _, all := range v.l.handshakes.running {
		running, most = running+len(all), max(most, len(all))
	}
	return running, most
}
