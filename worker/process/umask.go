package process

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// umaskLock is held while a process starts, and exclusively while it starts with another
// umask than ours. All threads of this process have the same umask, and a child inherits
// it. This process sets the mode of files that it creates explicitly.
var umaskLock sync.RWMutex

// startProcess is os.StartProcess on the main thread, with the umask of the command.
func startProcess(c Command, attr *os.ProcAttr) (p *os.Process, err error) {
	if c.Umask == nil {
		umaskLock.RLock()
		defer umaskLock.RUnlock()
	} else {
		umaskLock.Lock()
		defer umaskLock.Unlock()
		defer unix.Umask(unix.Umask(*c.Umask))
	}
	onMain(func() { p, err = os.StartProcess(c.Path, c.Args, attr) })
	return p, err
}
