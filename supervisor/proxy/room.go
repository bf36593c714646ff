package proxy

import (
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// warnAgain is how often a lack of descriptors is told.
const warnAgain = time.Minute

// mostDescriptors is the number from which on descriptors are not for new clients.
// The rest of what this process may open is a reserve for the requests of those
// that are here: their way to a worker, their bodies, files.
func mostDescriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	all := int(min(limit.Cur, math.MaxInt32))
	return all - min(max(64, all/20), all/2)
}

// hasRoom tells whether a new client would get a descriptor that is not of the
// reserve. The kernel gives the lowest that is free.
func (l *Loop) hasRoom() bool {
	fd, err := unix.FcntlInt(uintptr(l.bell), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return fd < l.most
}

// isEmpty tells that there are no clients: what there is a lack of is not theirs.
func (l *Loop) isEmpty() bool { return len(l.clients) == 0 && l.handed.quiet() }

// makeRoom closes the connections that have been idle longest, some at a time. False:
// there are none. Who has just come may still speak. Who has stopped within a body, or
// takes no more of an answer, leaves room when that has ended.
func (l *Loop) makeRoom() bool {
	now := time.Now()
	if now.Sub(l.warned) > warnAgain {
		l.warned = now
		l.proxy.log.Warn("the limit of open files is reached: idle clients are disconnected, then new ones wait", "clients", len(l.clients))
	}
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
	if closed == 0 {
		l.handed.hurry(now)
	}
	return closed > 0
}

// silent tells that there is nothing to read.
func (c *client) silent() bool {
	var b [1]byte
	n, _, _ := unix.Recvfrom(c.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n <= 0
}

// lower moves a connection out of the reserve, if it can.
func (l *Loop) lower(fd int) int {
	if fd < l.most {
		return fd
	}
	got, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fd
	}
	unix.Close(max(fd, got))
	return min(fd, got)
}
