package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// describeMachine describes the machine, on which the figures depend.
func describeMachine() []string {
	var u unix.Utsname
	_ = unix.Uname(&u) // if it fails, the name is empty
	load, _, _ := strings.Cut(firstLine("/proc/loadavg", ""), " ")
	return []string{
		fmt.Sprintf("%d CPUs: %s; %s of memory; Linux %s; %s",
			runtime.NumCPU(), firstLine("/proc/cpuinfo", "model name"), firstLine("/proc/meminfo", "MemTotal"),
			unix.ByteSliceToString(u.Release[:]), strings.Trim(firstLine("/etc/os-release", "PRETTY_NAME"), `"`)),
		fmt.Sprintf("%s; load average at the start: %s", runtime.Version(), load),
	}
}

// firstLine returns the value of name in a file of names and values.
func firstLine(file, name string) string {
	b, _ := os.ReadFile(file) // without the file the value is empty
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(value, " \t:="))
		}
	}
	return ""
}
