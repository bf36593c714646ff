package static

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/coding"
)

// ErrMustWait is returned by ReadNow if the bytes are not in memory.
var ErrMustWait = errors.New("the file is not in memory")

// File is an open regular file as it was when it was opened, or what was made of one, in
// memory. It does not change but for the bytes on the disk. Any goroutine may use it.
type File struct {
	Name     string // below its directory
	Size     int64
	Modified time.Time
	ETag     string
	Type     string // of the contents

	about about
	data  []byte       // of a file in memory; then the next three are zero
	os    *os.File     // of a file on a disk
	fd    int          // of os
	id    identity     // as it was when it was opened
	now   atomic.Bool  // the file system can say whether bytes are in memory
	refs  atomic.Int64 // the file is closed when they are 0
	disk  *disk        // closes it: that may block, if the file has no name any more
	site  string       // whose file it is

	whole Reply // to a GET without conditions
	seen  windows
}

// about is what is known of a file beside what is in it.
type about struct {
	name      string
	typ       string
	modified  time.Time
	code      coding.Coding // in which the contents are; the other fields are of the file that has them plain
	immutable bool          // no other contents will ever have the name
	encodable bool          // encoding may make it smaller
	varies    bool          // other clients get it in another coding
}

// identity differs if a name has got another file, or the file was changed.
type identity struct {
	dev, ino      uint64
	size          int64
	mtime, change syscall.Timespec
}

// newFile returns a file with one reference.
func newFile(f *os.File, info fs.FileInfo, a about, d *disk, site string) *File {
	file := &File{
		Name: a.name, Size: info.Size(), Modified: a.modified, Type: a.typ, ETag: etag(info, a.code),
		about: a, os: f, fd: int(f.Fd()), id: identityOf(info), disk: d, site: site,
	}
	file.seen = newWindows(file.Size)
	file.refs.Store(1)
	file.now.Store(true)
	file.whole = file.replyTo(http.MethodGet, nil)
	return file
}

func etag(info fs.FileInfo, code coding.Coding) string {
	tag := fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size())
	if code != coding.Identity {
		tag += "-" + code.String()
	}
	return `"` + tag + `"`
}

func identityOf(info fs.FileInfo) identity {
	s := info.Sys().(*syscall.Stat_t)
	return identity{s.Dev, s.Ino, s.Size, s.Mtim, s.Ctim}
}

// Release closes the file after its last use. It reports whether this was the last.
func (f *File) Release() bool {
	last := f.refs.Add(-1) == 0
	if last {
		f.disk.run(f.site, func() { f.os.Close() })
	}
	return last
}

// ReadAt reads from the disk, and may block.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.os == nil {
		return f.readData(p, off)
	}
	return f.os.ReadAt(p, off)
}

// InMemory reports whether the file is in this process's memory, from where the kernel
// cannot send it.
func (f *File) InMemory() bool { return f.os == nil }

// OnDisk lets a goroutine call what may block on the file's disk.
func (f *File) OnDisk(job func()) { f.disk.run(f.site, job) }

// ReadNow reads what is in memory, or returns ErrMustWait. Fewer bytes than p has may be
// there; none at all (io.EOF) means that the file was truncated.
func (f *File) ReadNow(p []byte, off int64) (int, error) {
	if f.os == nil {
		return f.readData(p, off)
	}
	if !f.now.Load() {
		return 0, ErrMustWait
	}
	v := unix.Iovec{Base: &p[0], Len: uint64(len(p))}
	// Such a read does not wait, so Go's scheduler need not know of it.
	n, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(f.fd), uintptr(unsafe.Pointer(&v)), 1, uintptr(off), 0, unix.RWF_NOWAIT)
	switch {
	case errno == unix.EOPNOTSUPP || errno == unix.ENOSYS:
		f.now.Store(false)
		return 0, ErrMustWait
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, ErrMustWait
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return int(n), nil
}
