package proxy

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait waits for events. While requests are under way it does not tell Go's
// scheduler: such a wait is over in microseconds, and to give the processor away for
// it, get it back, and have the runtime's monitor look every 20 µs whether it should
// costs as much as the request. Who needs all threads to stop, as the collector does,
// sends a signal, which ends the wait. With one processor all others would wait, too:
// there it is told, and so it is when something was given to a goroutine, which waits
// for a processor.
func (l *Loop) epollWait(events []unix.EpollEvent, milliseconds int) (int, error) {
	gave := l.gave
	l.gave = false
	if len(l.busy) == 0 || l.alone || gave {
		return unix.EpollWait(l.epoll, events, milliseconds)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(milliseconds), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
