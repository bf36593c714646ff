package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// cpuOf returns the processor time of processes, without those that have exited. It asks
// their clocks (clock_getcpuclockid(3)), which are finer than /proc/PID/stat.
func cpuOf(procs []proc) time.Duration {
	var sum time.Duration
	for _, p := range procs {
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^p.pid<<3|2), &t); err == nil {
			sum += time.Duration(t.Nano())
		}
	}
	return sum
}

// proc is a process as /proc shows it.
type proc struct {
	pid, parent int
	command     string // its command line, joined by spaces
}

// tree returns the processes with these ids and all their descendants.
func tree(roots ...int) ([]proc, error) {
	all, err := allProcs()
	if err != nil {
		return nil, err
	}
	in := map[int]bool{}
	for _, pid := range roots {
		in[pid] = true
	}
	for grew := true; grew; { // a child may have a lower pid than its parent
		grew = false
		for _, p := range all {
			if in[p.parent] && !in[p.pid] {
				in[p.pid], grew = true, true
			}
		}
	}
	var found []proc
	for _, p := range all {
		if in[p.pid] {
			found = append(found, p)
		}
	}
	return found, nil
}

func allProcs() ([]proc, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var all []proc
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has exited
		}
		if p, ok := parseStat(string(b)); ok {
			cmdline, _ := os.ReadFile(filepath.Dir(file) + "/cmdline") // empty if it has exited
			p.command = strings.TrimRight(strings.ReplaceAll(string(cmdline), "\x00", " "), " ")
			all = append(all, p)
		}
	}
	return all, nil
}

// parseStat parses a line of /proc/PID/stat. It skips zombies, which hold no memory.
func parseStat(line string) (proc, bool) {
	before, after, ok := strings.Cut(line, " (")
	end := strings.LastIndex(after, ") ") // the name may contain anything
	if !ok || end < 0 {
		return proc{}, false
	}
	f := strings.Fields(after[end+2:]) // from the third field on
	if len(f) < 13 || f[0] == "Z" {
		return proc{}, false
	}
	pid, err1 := strconv.Atoi(before)
	parent, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil {
		return proc{}, false
	}
	return proc{pid: pid, parent: parent}, true
}

// memoryOf returns the sum over processes. It is an error if one exits meanwhile, because
// the figure would be too small.
func memoryOf(procs []proc) (process.Memory, error) {
	var sum process.Memory
	for _, p := range procs {
		m, err := process.ReadMemory(p.pid)
		if err != nil {
			return sum, fmt.Errorf("%w (%s)", err, p.command)
		}
		sum = sum.Add(m)
	}
	return sum, nil
}

// isRunning reports whether a process exists and is no zombie.
func isRunning(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, ok := parseStat(string(b))
	return ok
}
