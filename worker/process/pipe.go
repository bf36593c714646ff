package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
)

// Pipe returns the end w to which a process that runs as an account writes, and our end r
// to read from. For our own user that is a pipe. For another user it is a socket, because
// a hostile writer can block the reader of a pipe: the writer holds the lock of the pipe
// while the kernel copies its data, and that copy can wait for ever on a file system of
// the writer's own (FUSE). The reader then waits for the lock, even if its descriptor is
// non-blocking, and no signal wakes it, so that our thread and this program could never
// exit. The reader of a socket has a lock of its own. The price is that the process cannot
// open /dev/stdout by name, as under systemd.
func Pipe(as *account.Account) (r, w *os.File, err error) {
	if as == nil {
		return os.Pipe()
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket to read from: %w", err)
	}
	_ = unix.SetNonblock(fds[0], true) // has no effect on the other end
	return os.NewFile(uintptr(fds[0]), "from a process"), os.NewFile(uintptr(fds[1]), "to multisite"), nil
}
