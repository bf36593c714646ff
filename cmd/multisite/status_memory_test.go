package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

const memorySites = subdomain1 + `
processes = 5
# its child holds 20 MB that are nobody else's
[site.subdomain1.service.parent]
command = ["sh", "-c", "python3 -c 'import time; b = bytearray(b\"x\") * (20 << 20); print(\"held\", flush=True); time.sleep(1000)'; true"]
[site.subdomain2]
server_name = "subdomain2.example.com"
settings = "subdomain2_settings"
processes = 3
`

// TestStatus_SumIsTrue: what status shows adds up to what the kernel says of all processes
// that descend from the supervisor, to 2%.
func TestStatus_SumIsTrue(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+memorySites)
	r.waitLog("subdomain1", ` subdomain1/service\.parent held$`)
	var got, want int64
	eventually(t, "the sums to agree while nothing changes", func() bool { // something may exit between the two
		got, want = r.status().Total().PSS, pssOfTree(t, r.pid)
		return (got-want)*100 < 2*want && (want-got)*100 < 2*want
	})
	if got < 60<<20 {
		t.Errorf("all of it holds only %d bytes", got)
	}
	one := r.site("subdomain1")
	if one.Memory.OthersPSS < 20<<20 || one.Memory.PSS < one.Memory.OthersPSS {
		t.Errorf("what the service has started is not part of %+v", one.Memory)
	}
}

var (
	parentLine = regexp.MustCompile(`(?m)^PPid:\s+(\d+)$`)
	pssLine    = regexp.MustCompile(`(?m)^Pss:\s+(\d+) kB$`)
)

// pssOfTree returns the PSS of a process and all its descendants.
func pssOfTree(t *testing.T, root int) (sum int64) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	parents := map[int]int{}
	for _, path := range paths {
		b, _ := os.ReadFile(path + "/status") // it may have exited
		if m := parentLine.FindSubmatch(b); m != nil {
			pid, _ := strconv.Atoi(filepath.Base(path))
			parents[pid], _ = strconv.Atoi(string(m[1]))
		}
	}
	for pid := range parents {
		up := pid
		for up > 1 && up != root {
			up = parents[up]
		}
		if up != root {
			continue
		}
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if m := pssLine.FindSubmatch(b); m != nil {
			kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
			sum += kb << 10
		}
	}
	return sum
}
