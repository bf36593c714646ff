package wire

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadNow is read(2) of a non-blocking descriptor. Unlike unix.Read it does not announce the
// call to Go's scheduler: it is over in microseconds, and to be ready to take the processor
// away meanwhile costs more than that saves. The same holds for WriteNow and WritevNow.
func ReadNow(fd int, b []byte) (int, error) {
	return now(unix.SYS_READ, fd, unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

// WriteNow is write(2).
func WriteNow(fd int, b []byte) (int, error) {
	return now(unix.SYS_WRITE, fd, unsafe.Pointer(unsafe.SliceData(b)), len(b))
}

// maxVectors is how many pieces the kernel takes at once.
const maxVectors = 1024

// WritevNow is writev(2) of up to 1024 pieces.
func WritevNow(fd int, pieces [][]byte) (int, error) {
	var few [8]unix.Iovec
	vectors := few[:0]
	for _, p := range pieces[:min(len(pieces), maxVectors)] {
		if len(p) > 0 {
			vectors = append(vectors, unix.Iovec{Base: unsafe.SliceData(p), Len: uint64(len(p))})
		}
	}
	return now(unix.SYS_WRITEV, fd, unsafe.Pointer(unsafe.SliceData(vectors)), len(vectors))
}

func now(call uintptr, fd int, p unsafe.Pointer, n int) (int, error) {
	got, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(p), uintptr(n))
	if errno != 0 {
		return -1, errno
	}
	return int(got), nil
}
