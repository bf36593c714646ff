package fastloop

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// warnPeriod is how often a lack of descriptors is logged.
const warnPeriod = time.Minute

// hasRoom reports whether a new client would get a descriptor below the reserve. The
// kernel gives the lowest that is free.
func (l *Loop) hasRoom() bool {
	fd, err := unix.FcntlInt(uintptr(l.bell), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return fd < l.reserve
}

// isEmpty reports that there are no clients: something else takes the descriptors.
func (l *Loop) isEmpty() bool { return len(l.clients) == 0 && l.conns.Empty() }

// makeRoom closes the static files that are kept open, or else the connections that have
// been idle longest, some at a time. It returns false if there are none. A client that has just connected may still send. A client that
// stalls within a body or an answer makes room when its time is up (hurry).
func (l *Loop) makeRoom() bool {
	if l.o.Files.GiveUp() {
		return true
	}
	now := time.Now()
	if now.Sub(l.warned) > warnPeriod {
		l.warned = now
		l.o.Log.Warn("the limit of open files is reached: idle clients are disconnected, then new ones wait", "clients", len(l.clients))
	}
	if l.closeIdle(now) {
		return true
	}
	l.hurry(now)
	l.conns.hurry(now)
	return false
}

// closeIdle closes the connections that have been idle longest, some at a time. It returns
// false if there are none.
func (l *Loop) closeIdle(now time.Time) bool {
	var idle []*client
	for _, c := range l.clients {
		if c.site == nil && now.Sub(c.start) > time.Second {
			idle = append(idle, c)
		}
	}
	slices.SortFunc(idle, func(a, b *client) int { return a.start.Compare(b.start) })
	closed := 0
	for _, c := range idle {
		if closed > len(idle)/32 {
			break
		}
		if c.silent() {
			c.close()
			closed++
		}
	}
	return closed > 0
}

// lower moves a connection below the reserve, if it can.
func (l *Loop) lower(fd int) int {
	if fd < l.reserve {
		return fd
	}
	got, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fd
	}
	unix.Close(max(fd, got))
	return min(fd, got)
}
