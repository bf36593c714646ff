package static

import (
	"io"
	"sync/atomic"
	"time"

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

// SendTo lets the kernel send bytes to a socket that does not block, without copying them:
// at most n, and at most a window. It returns ErrMustWait if that could wait for the disk,
// and io.EOF if the file was truncated.
func (f *File) SendTo(socket int, at, n int64) (int, error) {
	w := at / window
	if !f.inMemory(w) {
		return 0, ErrMustWait
	}
	sent, err := unix.Sendfile(socket, f.fd, &at, int(min(n, (w+1)*window-at)))
	if err == nil && sent == 0 {
		err = io.EOF
	}
	return sent, err
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
