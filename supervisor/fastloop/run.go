package fastloop

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/static"
)

// DetachAfter is how long a request may take, once it is here, before it is detached.
const DetachAfter = 50 * time.Millisecond

const (
	lookPeriod  = 20 * time.Millisecond // between looks at what takes too long
	sweepPeriod = time.Second           // between looks at idle connections
)

// Run serves until Shutdown or Close was called and the last connection is gone, also of
// those that are detached.
func (l *Loop) Run() {
	defer close(l.done)
	events := make([]unix.EpollEvent, 256)
	for !l.isStopped() {
		l.reportIdle()
		l.reportEnded()
		for _, e := range events[:l.wait(events)] {
			l.handle(int(e.Fd), e.Events)
		}
		l.sendFiles()
		l.serveUnread()
		l.readMore()
		now := time.Now()
		l.recallStalled(now)
		l.lookAround(now)
	}
	unix.Close(l.epoll)
	unix.Close(l.bell)
	l.o.Files.Clear()
}

// isStopped runs what was posted, and reports whether nothing is left to do.
func (l *Loop) isStopped() bool {
	l.takePosted()
	l.takeNotified()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = l.closing && len(l.clients)+len(l.lingering)+len(l.posted)+l.handshakes.total == 0 && (l.abrupt || l.conns.emptyOr(l.wake))
	return l.stopped
}

// reportIdle tells those that wait for it that no request is under way.
func (l *Loop) reportIdle() {
	if len(l.idleWaiters) == 0 || len(l.busy) > 0 || l.lingersTLS() || !l.conns.emptyOr(l.wake) {
		return
	}
	for _, idle := range l.idleWaiters {
		close(idle)
	}
	l.idleWaiters = nil
}

// wait returns the number of events. It does not wait if something else is to be done.
func (l *Loop) wait(events []unix.EpollEvent) int {
	timeout := l.timeout()
	l.mu.Lock()
	if l.asleep = len(l.posted) == 0 && len(l.notified) == 0 && len(l.unread) == 0; !l.asleep {
		timeout = 0
	}
	l.mu.Unlock()
	if len(l.sending)+len(l.more) > 0 {
		timeout = 0
	}
	n, err := l.epollWait(events, timeout)
	l.mu.Lock()
	l.asleep = false
	l.mu.Unlock()
	if err != nil { // interrupted by a signal
		return 0
	}
	return n
}

// timeout returns for how many milliseconds nothing has to be looked at. It is needed only
// for limits of time (of requests, lines, lingering and idle connections): everything else
// wakes the loop.
func (l *Loop) timeout() int {
	switch {
	case l.followers > 0:
		return int(lineStall / 2 / time.Millisecond)
	case len(l.busy)+len(l.lingering)+len(l.endWaiters) > 0:
		return int(lookPeriod / time.Millisecond)
	case len(l.clients) > 0 || !l.listens():
		return int(sweepPeriod / time.Millisecond)
	}
	return -1
}

// shortWait is how many milliseconds an unannounced wait takes when no worker runs a request.
const shortWait = 1

// epollWait waits for events. While workers run requests, and for a moment after anything
// has happened, it does not announce the wait to Go's scheduler: such a wait is over in
// microseconds, and to give the processor away, get it back, and have the runtime's monitor
// look every 20 µs costs as much as the request. If the runtime needs all threads to stop,
// as for a garbage collection, it sends a signal, which ends the wait. The wait is announced
// on a single processor, on which all other goroutines would wait as well, when a goroutine
// was given work, which needs a processor, and when one has a connection.
func (l *Loop) epollWait(events []unix.EpollEvent, milliseconds int) (int, error) {
	gave, quiet := l.gaveWork, l.quiet
	l.gaveWork, l.quiet = false, false
	switch {
	case l.uniprocessor || gave:
		return unix.EpollWait(l.epoll, events, milliseconds)
	case len(l.heads) > 0:
	case quiet || !l.conns.Empty():
		return unix.EpollWait(l.epoll, events, milliseconds)
	case milliseconds < 0 || milliseconds > shortWait:
		milliseconds = shortWait
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(milliseconds), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	l.quiet = n == 0
	return int(n), nil
}

// handle handles an event of a descriptor.
func (l *Loop) handle(fd int, events uint32) {
	if l.heads[fd] != nil {
		l.serveLine(fd)
		return
	}
	if gone := l.handedOver[fd]; gone != nil {
		if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			gone()
		}
		return
	}
	if c := l.clients[fd]; c != nil {
		if events&^unix.EPOLLOUT != 0 {
			c.readable(events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
		}
		if l.clients[fd] == c {
			c.writable()
		}
		return
	}
	if c := l.lingering[fd]; c != nil {
		l.discard(c)
		return
	}
	if l.accepting[fd] {
		l.accept(fd)
		return
	}
	if fd == l.bell {
		var b [8]byte
		_, _ = unix.Read(fd, b[:]) // only its end of waiting counts
	}
}

// lookAround detaches requests that take too long, and closes connections that were idle
// or took nothing of an answer for too long.
func (l *Loop) lookAround(now time.Time) {
	if now.Sub(l.looked) < lookPeriod {
		return
	}
	l.looked = now
	for c := range l.busy {
		switch {
		case c.disk != nil:
			if now.Sub(c.disk.since) > static.Patience {
				c.diskHangs(now)
			}
		case c.isStalled(now, l.o.Timeouts.Client):
			c.leave(now)
		case c.mustBeHandedOver(now):
			c.handOver(nil)
		case !c.reply.begun && now.After(c.detachAt):
			c.detach()
		}
	}
	l.closeLingering(now)
	if now.Sub(l.swept) < sweepPeriod {
		return
	}
	l.swept, l.uniprocessor = now, runtime.GOMAXPROCS(0) == 1
	l.resumeAccepting()
	for _, c := range l.clients {
		if !l.busy[c] && now.Sub(c.start) > c.patience && !(l.paused && c.hasMore()) {
			c.expire()
		}
	}
}
