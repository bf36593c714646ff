package tunnel

import (
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// bufferSize bounds what is read of a sender at once, and so what a direction holds. What is
// encrypted is read into a smaller buffer, which it holds all the time.
const (
	bufferSize    = 32 << 10
	encryptedSize = 4 << 10
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// half is one direction of a tunnel. One goroutine uses it.
type half struct {
	from, to Stream
	bare     bool // from is a socket, of which nothing is read before something has arrived
	dropping bool // nobody takes what is read
	state    State
}

// pass passes bytes on until an error, which is io.EOF at the end. writing says of which
// side it is.
func (h *half) pass() (writing bool, err error) {
	if err := h.flush(); err != nil {
		return true, err
	}
	read := h.readEncrypted
	if h.bare {
		read = h.readBare
	}
	for {
		if writing, err = read(); err != nil {
			return writing, err
		}
	}
}

// flush writes what was read.
func (h *half) flush() error {
	if h.dropping {
		h.state.Pending = nil
	}
	for len(h.state.Pending) > 0 {
		n, err := h.to.Write(h.state.Pending)
		h.state.Passed += int64(n)
		if h.state.Pending = h.state.Pending[n:]; err != nil {
			return err
		}
	}
	h.state.Pending = nil
	return nil
}

// readBare passes on what arrives next. It holds no buffer before.
func (h *half) readBare() (writing bool, err error) {
	raw, err := h.from.(syscall.Conn).SyscallConn()
	if err != nil {
		return false, err
	}
	var buffer *[bufferSize]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		buffer = buffers.Get().(*[bufferSize]byte)
		n, failed = unix.Read(int(fd), buffer[:])
		if failed != unix.EAGAIN && failed != unix.EINTR {
			return true
		}
		buffers.Put(buffer)
		buffer = nil
		return false
	})
	if buffer == nil {
		return false, err
	}
	defer func() {
		if len(h.state.Pending) == 0 { // otherwise the buffer stays with it
			buffers.Put(buffer)
		}
	}()
	if n <= 0 {
		if failed == nil {
			failed = io.EOF
		}
		return false, failed
	}
	h.state.Pending = buffer[:n]
	return true, h.flush()
}

// readEncrypted is readBare for a sender of which only Read knows whether something is there.
func (h *half) readEncrypted() (writing bool, err error) {
	buffer := make([]byte, encryptedSize)
	for {
		n, err := h.from.Read(buffer)
		h.state.Pending = buffer[:n]
		if err := h.flush(); err != nil {
			return true, err
		}
		if err != nil {
			return false, err
		}
	}
}

// awaitGone returns when the sender, which has ended its direction, has closed the other
// one, too, and so will never read anything; or with an error.
func (h *half) awaitGone() error {
	raw, err := h.from.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		return err != unix.EINTR && (err != nil || n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0)
	})
}
