package ksm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pageSize is that of this machine, in bytes.
var pageSize = int64(os.Getpagesize())

// ticks is the unit of processor times in /proc, which is the same on all machines.
const ticks = 100

// Merged returns how many bytes of a process are merged with other pages; 0 where the
// kernel does not say (before Linux 6.1).
func (k Kernel) Merged(pid int) int64 { return k.number(k.of(pid, "ksm_merging_pages")) * pageSize }

// Saved returns how many bytes merging saves on the whole machine.
func (k Kernel) Saved() int64 { return k.number(filepath.Join(k.Sys, "pages_sharing")) * pageSize }

// OptedIn returns a process of another user than uid that has opted in, in words; "" if
// none is found. Only root can ask this of the processes of others.
func (k Kernel) OptedIn(uid int) string {
	for _, pid := range k.processes() {
		info, err := os.Stat(k.of(pid, ""))
		if err != nil {
			continue // it has exited
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(owner.Uid) == uid || !k.hasOptedIn(pid) {
			continue
		}
		name, _ := os.ReadFile(k.of(pid, "comm"))
		return fmt.Sprintf("process %d (%s) of user %d", pid, strings.TrimSpace(string(name)), owner.Uid)
	}
	return ""
}

func (k Kernel) hasOptedIn(pid int) bool {
	b, err := os.ReadFile(k.of(pid, "ksm_stat"))
	if err == nil && strings.Contains(string(b), "ksm_mergeable:") { // Linux 6.15 and later
		return strings.Contains(string(b), "ksm_mergeable: yes") || strings.Contains(string(b), "ksm_merge_any: yes")
	}
	return k.Merged(pid) > 0
}

// KsmdSeconds returns the processor time that ksmd has used since the machine started; 0
// where it cannot be seen, as in a container.
func (k Kernel) KsmdSeconds() float64 {
	for _, pid := range k.processes() {
		b, err := os.ReadFile(k.of(pid, "stat"))
		if err != nil {
			continue // it has exited
		}
		name := string(b[:max(0, strings.LastIndexByte(string(b), ')')+1)])
		f := strings.Fields(strings.TrimPrefix(string(b), name))
		if !strings.HasSuffix(name, " (ksmd)") || len(f) < 13 || f[1] != "2" { // a child of kthreadd, not a program of that name
			continue
		}
		user, _ := strconv.ParseInt(f[11], 10, 64) // the kernel writes a number
		system, _ := strconv.ParseInt(f[12], 10, 64)
		return float64(user+system) / ticks
	}
	return 0
}

func (k Kernel) processes() []int {
	entries, _ := os.ReadDir(k.Proc)
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (k Kernel) of(pid int, file string) string {
	return filepath.Join(k.Proc, strconv.Itoa(pid), file)
}

func (k Kernel) number(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}
