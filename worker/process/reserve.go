package process

import (
	"math"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// taskReserve is how many processes and threads, of so many in all, are kept for this
// process: where the system refuses it a thread, the Go runtime ends it.
func taskReserve(of int64) int64 { return min(64, of/4) }

// MakeSpareThreads makes threads that the Go runtime keeps for when it needs one: n, or as
// many as there is room for.
func MakeSpareThreads(n int) {
	if r := TaskRoom(FreeNow, os.Geteuid(), 0); r.By != "" {
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
	if os.Geteuid() == 0 || unix.Getrlimit(unix.RLIMIT_NPROC, &l) != nil || l.Cur > math.MaxInt32 {
		return
	}
	l.Cur -= uint64(taskReserve(int64(l.Cur)))
	_ = unix.Prlimit(pid, unix.RLIMIT_NPROC, &l, nil)
}
