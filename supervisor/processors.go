package supervisor

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// processors are those of this machine. Its zero value is ready for use.
type processors struct {
	mu sync.Mutex
	// mu protects all below
	looked time.Time
	count  int
	busy   bool // each has work
}

// crowded tells whether each processor has work, and there are fewer of them than so
// many workers. A look is good for a millisecond.
func (p *processors) crowded(workers int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.looked) >= time.Millisecond {
		p.looked, p.count = now, runtime.GOMAXPROCS(0)
		p.busy = running() > p.count // the front door, which asks, is one of them
	}
	return p.busy && workers > p.count
}

// running is how many processes and threads run, or could: the fourth field of
// proc_loadavg(5). 0: nobody knows.
func running() int {
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
