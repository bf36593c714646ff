package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of time in /proc/PID/stat, the same on every Linux (USER_HZ).
const clockTick = time.Second / 100

// ReadCPUTime reads the processor time of a process, over all its threads, from
// /proc/PID/stat (proc(5)).
func ReadCPUTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	return parseCPUTime(b)
}

func parseCPUTime(b []byte) (time.Duration, error) {
	rest := b[bytes.LastIndexByte(b, ')')+1:] // the name may contain anything
	f := bytes.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("read processor time: %d fields", len(f))
	}
	user, err := strconv.ParseInt(string(f[11]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	system, err := strconv.ParseInt(string(f[12]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// ReadRSS reads the resident memory of a process, which is not exact: each processor
// counts for itself, and the kernel adds the counts up only now and then. It takes a
// hundredth of the time of ReadMemory.
func ReadRSS(pid int) (int64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0, fmt.Errorf("read memory of process %d: %d fields", pid, len(f))
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}
