package fastcgi

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adder has the kernel add 1 to an eventfd. The kernel itself does not wait, ignores the
// flags of the descriptor, and leaves a counter at its maximum as it is. For that, adder
// submits an operation that is complete at once (Linux AIO, io_submit(2): a read of no
// bytes of /dev/null) and names the eventfd as the one to notify (IOCB_FLAG_RESFD). That
// takes 0.2 µs longer than write(2).
type adder struct {
	mu sync.Mutex
	// mu protects all below
	context uintptr                       // of io_setup(2), for the life of the process
	request *aioRequest                   // the one operation, used again and again
	done    [aioDepth * aioEventSize]byte // where the kernel's list of completions goes; not read
}

// aioDepth is how many completions the kernel's list holds before it has to be emptied.
const aioDepth = 64

// aioRequest is struct iocb of linux/aio_abi.h. The fields that stay zero ask for
// IOCB_CMD_PREAD.
type aioRequest struct {
	_        [20]byte // aio_data, aio_key, aio_rw_flags, aio_lio_opcode, aio_reqprio
	fd       uint32
	_        [32]byte // aio_buf, aio_nbytes, aio_offset, aio_reserved2
	flags    uint32
	resultFD uint32
}

// aioNotifyFD is IOCB_FLAG_RESFD.
const aioNotifyFD = 1

// aioEventSize is the size of struct io_event.
const aioEventSize = 32

// adders returns the adder of this process. There is only one, because the kernel bounds
// such contexts for all users together (fs.aio-max-nr); it keeps nothing of its callers
// between two calls. Without an adder no follower is sent.
var adders = sync.OnceValues(newAdder)

func newAdder() (*adder, error) {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	a := &adder{request: &aioRequest{fd: uint32(null), flags: aioNotifyFD}}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, aioDepth, uintptr(unsafe.Pointer(&a.context)), 0); errno != 0 {
		unix.Close(null)
		return nil, fmt.Errorf("io_setup: %w", errno)
	}
	return a, nil
}

func (a *adder) add(eventfd int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.request.resultFD = uint32(eventfd)
	errno := a.submitLocked()
	if errno == unix.EAGAIN { // the list of completions is full
		a.emptyLocked()
		errno = a.submitLocked()
	}
	if errno != 0 {
		return fmt.Errorf("io_submit: %w", errno)
	}
	return nil
}

func (a *adder) submitLocked() unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IO_SUBMIT, a.context, 1, uintptr(unsafe.Pointer(&a.request)))
	return errno
}

// emptyLocked drops all completions.
func (a *adder) emptyLocked() {
	_, _, _ = unix.RawSyscall6(unix.SYS_IO_GETEVENTS, a.context, 0, aioDepth, uintptr(unsafe.Pointer(&a.done)), 0, 0)
}
