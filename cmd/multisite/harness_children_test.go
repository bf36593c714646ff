package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// child is a child process of another one, as /proc has it.
type child struct {
	pid   int
	name  string // up to 15 bytes
	state string // "R", "S", "Z"...
}

// children returns the child processes of a process, also those that have exited and are
// not reaped yet.
func children(t testing.TB, parent int) []child {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []child
	for _, file := range files {
		b, _ := os.ReadFile(file) // empty if the process has just exited
		stat := string(b)
		opened, closed := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
		if opened < 0 || closed < 0 {
			continue
		}
		fields := strings.Fields(stat[closed+1:])
		pid, err := strconv.Atoi(strings.TrimSpace(stat[:opened]))
		if err != nil {
			t.Fatal(err)
		}
		if fields[1] == fmt.Sprint(parent) {
			found = append(found, child{pid, stat[opened+1 : closed], fields[0]})
		}
	}
	return found
}

// childrenOf counts those with one name.
func childrenOf(t testing.TB, parent int, name string) int {
	t.Helper()
	n := 0
	for _, c := range children(t, parent) {
		if c.name == name {
			n++
		}
	}
	return n
}
