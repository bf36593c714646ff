package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// describeMachine names what the figures depend on.
func describeMachine() []string {
	var u unix.Utsname
	_ = unix.Uname(&u) // an empty name shows
	load, _, _ := strings.Cut(firstLine("/proc/loadavg", ""), " ")
	return []string{
		fmt.Sprintf("%d CPUs: %s; %s of memory; Linux %s; %s",
			runtime.NumCPU(), firstLine("/proc/cpuinfo", "model name"), firstLine("/proc/meminfo", "MemTotal"),
			unix.ByteSliceToString(u.Release[:]), strings.Trim(firstLine("/etc/os-release", "PRETTY_NAME"), `"`)),
		fmt.Sprintf("%s; load average at the start: %s", runtime.Version(), load),
	}
}

// firstLine returns what stands behind name in a file of names and values.
func firstLine(file, name string) string {
	b, _ := os.ReadFile(file) // a machine that does not say is shown without it
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(value, " \t:="))
		}
	}
	return ""
}
