package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Memory is the memory of a process, in bytes.
type Memory struct {
	PSS int64 // its private pages and its share of shared ones; sums over processes are right
	USS int64 // pages that no other process has, which its exit frees
	RSS int64 // all resident pages; sums over processes count shared pages repeatedly
	// Unshared is what the process would have if it were not forked: its anonymous pages
	// in full, and its share of mapped files, which processes share in any case.
	Unshared int64
}

// Add returns the sum of m and o.
func (m Memory) Add(o Memory) Memory {
	return Memory{PSS: m.PSS + o.PSS, USS: m.USS + o.USS, RSS: m.RSS + o.RSS, Unshared: m.Unshared + o.Unshared}
}

// ReadMemory reads the memory of a process from /proc/PID/smaps_rollup (proc(5)).
func ReadMemory(pid int) (Memory, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return Memory{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return parseMemory(b), nil
}

func parseMemory(b []byte) Memory {
	var m Memory
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 3 || string(f[2]) != "kB" {
			continue
		}
		kb, err := strconv.ParseInt(string(f[1]), 10, 64)
		if err != nil {
			continue // the address line of the mapping
		}
		switch string(f[0]) {
		case "Rss:":
			m.RSS = kb << 10
		case "Pss:":
			m.PSS = kb << 10
			m.Unshared += kb << 10
		case "Pss_Anon:":
			m.Unshared -= kb << 10
		case "Anonymous:":
			m.Unshared += kb << 10
		case "Private_Clean:", "Private_Dirty:", "Private_Hugetlb:":
			m.USS += kb << 10
		}
	}
	return m
}
