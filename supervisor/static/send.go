package static

import (
	"io"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	window   = 256 << 10   // of a file, of which is known whether it is in memory
	seenFor  = time.Second // how long that holds, if no page is dropped
	maxNoted = 1 << 10     // windows of a file for which it is noted
	page     = 4 << 10
)

// windows are when the windows of a file were last seen in memory, as Unix nanoseconds.
type windows []atomic.Int64

// newWindows returns none for a file that is so large that it is looked at each time.
func newWindows(size int64) windows {
	if n := size/window + 1; n <= maxNoted {
		return make(windows, n)
	}
	return nil
}

// SendTo sends head, and lets the kernel send bytes of the file after it without copying
// them, to a socket that does not block: at most n, and at most a window. sent counts both.
// It returns ErrMustWait if that could wait for the disk, with nothing sent, and io.EOF if
// the file was truncated.
func (f *File) SendTo(socket int, head []byte, at, n int64) (sent int, err error) {
	w := at / window
	if !f.inMemory(w) {
		return 0, ErrMustWait
	}
	if len(head) > 0 {
		sent, err = unix.SendmsgN(socket, head, nil, nil, unix.MSG_MORE) // in a packet with what follows
		if sent < len(head) || err != nil {
			return max(sent, 0), err
		}
	}
	more, err := sendfile(socket, f.fd, at, min(n, (w+1)*window-at))
	switch {
	case err == unix.EAGAIN && sent > 0:
		return sent, nil
	case err == nil && more == 0:
		err = io.EOF
	}
	return sent + more, err
}

// sendfile is the system call. Go's scheduler does not learn of it: it would give the
// processor to another thread after 20 µs, and getting it back costs more than sending.
func sendfile(socket, file int, at, n int64) (int, error) {
	sent, _, errno := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(socket), uintptr(file), uintptr(unsafe.Pointer(&at)), uintptr(n), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), nil
}

// inMemory looks at every page of a window. That holds for a while, as long as the kernel
// says that it has dropped none.
func (f *File) inMemory(w int64) bool {
	now := time.Now().UnixNano()
	if f.seen != nil && now-f.seen[w].Load() < int64(seenFor) && f.hasPages(w) {
		return true
	}
	var b [1]byte
	for at := w * window; at < min((w+1)*window, f.Size); at += page {
		if _, err := f.ReadNow(b[:], at); err != nil {
			return false
		}
	}
	if f.seen != nil {
		f.seen[w].Store(now)
	}
	return true
}

// hasPages reports whether all pages of a window are there. They could still be on their
// way from the disk. It is false for a kernel that does not say it.
func (f *File) hasPages(w int64) bool {
	want := unix.CachestatRange{Off: uint64(w * window), Len: uint64(min(window, f.Size-w*window))}
	var got unix.Cachestat_t
	return unix.Cachestat(uint(f.fd), &want, &got, 0) == nil && got.Cache >= (want.Len+page-1)/page
}
