package process

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended: by its own exit status or by a signal.
type Exit struct {
	Code   int
	Signal syscall.Signal // 0: it exited by itself
}

// String says it in words: "exit status 1", "signal killed (9)".
func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %s (%d)", e.Signal, int(e.Signal))
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

func exitOf(ws unix.WaitStatus, err error) Exit {
	switch {
	case err != nil: // somebody else took the status
		return Exit{Code: -1}
	case ws.Signaled():
		return Exit{Signal: ws.Signal()}
	default:
		return Exit{Code: ws.ExitStatus()}
	}
}
