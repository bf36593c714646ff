package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Strangers are children of this process that it did not start: what a worker
// started and left behind comes to the subreaper. When such a process ends it
// stays as a zombie until somebody takes its status. The zero value is ready.
type Strangers struct {
	ended map[string]bool // at the last call
}

// Reap takes the status of every child that had ended at the last call already.
// Nobody else waits for it: a Process is reaped in the moment of its end.
func (s *Strangers) Reap() {
	ended := map[string]bool{}
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is valid
	for _, list := range lists {
		pids, _ := os.ReadFile(list) // of a thread that has just ended: none
		for pid := range strings.FieldsSeq(string(pids)) {
			id := zombie(pid)
			if number, err := strconv.Atoi(pid); err == nil && s.ended[id] {
				_, _ = unix.Wait4(number, nil, unix.WNOHANG, nil) // it is not of interest how it ended
			} else if id != "" {
				ended[id] = true
			}
		}
	}
	s.ended = ended
}

// zombie returns what tells a process that has ended from every other one: its
// number and when it started. "": it runs.
func zombie(pid string) string {
	b, _ := os.ReadFile("/proc/" + pid + "/stat") // it may be gone
	stat := string(b)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // a name may have spaces
	if len(fields) < 20 || fields[0] != "Z" {
		return ""
	}
	return pid + " " + fields[19] // proc(5): state is the third of all fields, starttime the 22nd
}
