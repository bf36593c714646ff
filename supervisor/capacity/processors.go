package capacity

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Processors finds out whether the processors of this machine are busy. Its zero value is
// ready for use, and safe for use by several goroutines.
type Processors struct {
	mu sync.Mutex
	// mu protects all below, which was true at the time looked.
	looked time.Time
	count  int
	busy   bool // each processor has work
}

// Crowded reports whether each processor has work, and there are more workers than
// processors. What it has found is used for a millisecond.
func (p *Processors) Crowded(workers int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.looked) >= time.Millisecond {
		p.looked, p.count = now, runtime.GOMAXPROCS(0)
		p.busy = runnable() > p.count // the caller's thread is one of them
	}
	return p.busy && workers > p.count
}

// runnable returns how many processes and threads run or could run: the fourth field
// of proc_loadavg(5). It returns 0 if that is not known.
func runnable() int {
	fd, err := unix.Open("/proc/loadavg", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var b [64]byte
	n, _ := unix.Read(fd, b[:])
	fields := bytes.Fields(b[:max(n, 0)])
	if len(fields) < 4 {
		return 0
	}
	count, _, _ := bytes.Cut(fields[3], []byte("/"))
	n, _ = strconv.Atoi(string(count)) // the kernel writes a number
	return n
}
