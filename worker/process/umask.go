package process

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// umaskLock is held while a process starts: alone, to start it with another umask
// than ours. A process has one umask for all of its threads and a child begins
// with it; what this process creates itself meanwhile has its mode set by name.
var umaskLock sync.RWMutex

// startProcess is os.StartProcess with a umask; nil: ours.
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
