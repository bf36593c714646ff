package process

import (
	"math"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// TaskReserve is how many processes and threads are kept for this process: where the
// system refuses it a thread, the Go runtime ends it.
const TaskReserve = 64

// SpareThreads makes threads that the Go runtime keeps for when it needs one: n, or as
// many as there is room for.
func SpareThreads(n int) {
	if r := TaskRoom(os.Geteuid(), 0); r.By != "" {
		n = int(min(int64(n), r.Left/4))
	}
	var made, ended sync.WaitGroup
	over := make(chan struct{})
	for range n {
		made.Add(1)
		ended.Go(func() {
			runtime.LockOSThread() // so that each has one of its own
			defer runtime.UnlockOSThread()
			made.Done()
			<-over
		})
	}
	made.Wait()
	close(over)
	ended.Wait()
}

// leaveReserve keeps a child of the same user, and what it starts, from using up what
// this process may need. It returns nothing: it can only fail for one that has ended.
func leaveReserve(pid int) {
	var l unix.Rlimit
	if os.Geteuid() == 0 || unix.Getrlimit(unix.RLIMIT_NPROC, &l) != nil || l.Cur > math.MaxInt32 || l.Cur <= 2*TaskReserve {
		return
	}
	l.Cur -= TaskReserve
	_ = unix.Prlimit(pid, unix.RLIMIT_NPROC, &l, nil)
}
