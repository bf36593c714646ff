package process

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit is how a process exited: with a status or by a signal.
type Exit struct {
	Code   int            // its exit status; -1: not known
	Signal syscall.Signal // that killed it; 0: none did
}

// String returns "exit status 1" or "signal killed (9)".
func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %s (%d)", e.Signal, int(e.Signal))
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

func exitOf(ws unix.WaitStatus, err error) Exit {
	switch {
	case err != nil: // other code of this program has taken the status
		return Exit{Code: -1}
	case ws.Signaled():
		return Exit{Signal: ws.Signal()}
	default:
		return Exit{Code: ws.ExitStatus()}
	}
}
