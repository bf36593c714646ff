package process

import (
	"math"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// taskReserve returns how many of so many processes and threads are reserved for this
// process. If the system refuses it a thread, the Go runtime exits.
func taskReserve(of int64) int64 { return min(64, of/4) }

// MakeSpareThreads makes the Go runtime create n threads, or as many as there is room for,
// which it keeps and uses when it needs one.
func MakeSpareThreads(n int) {
	if r := TaskRoom(FreeNow, os.Geteuid(), 0); r.By != "" {
		n = int(min(int64(n), r.Left/4))
	}
	var made, done sync.WaitGroup
	enough := make(chan struct{})
	for range n {
		made.Add(1)
		done.Go(func() {
			runtime.LockOSThread() // so that each goroutine has a thread of its own
			defer runtime.UnlockOSThread()
			made.Done()
			<-enough
		})
	}
	made.Wait()
	close(enough)
	done.Wait()
}

// leaveReserve prevents a child of the same user, and what it starts, from using up the
// reserve of this process. It returns no error: it fails only if the child has exited.
func leaveReserve(pid int) {
	var l unix.Rlimit
	if os.Geteuid() == 0 || unix.Getrlimit(unix.RLIMIT_NPROC, &l) != nil || l.Cur > math.MaxInt32 {
		return
	}
	l.Cur -= uint64(taskReserve(int64(l.Cur)))
	_ = unix.Prlimit(pid, unix.RLIMIT_NPROC, &l, nil)
}
