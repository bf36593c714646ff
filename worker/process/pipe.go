package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
)

// Pipe returns what a process that runs as an account writes to, and our end to read
// it from. For our own user that is a pipe. For another one it is a socket: who writes
// into a pipe holds its lock while the kernel reads what is written, and a file system
// of the writer's own (FUSE) can keep it waiting there; whoever reads waits for that
// lock, whatever the flags of the descriptor, deaf to every signal: our thread would
// never end, nor would we. The reader of a socket has a lock of its own. It costs
// that process to open /dev/stdout by name, as it does under systemd.
func Pipe(as *account.Account) (r, w *os.File, err error) {
	if as == nil {
		return os.Pipe()
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket to read from: %w", err)
	}
	_ = unix.SetNonblock(fds[0], true) // ours alone, and of no effect on the other
	return os.NewFile(uintptr(fds[0]), "from a process"), os.NewFile(uintptr(fds[1]), "to multisite"), nil
}
