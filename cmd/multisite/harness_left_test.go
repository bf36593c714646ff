package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// leftProcesses returns the processes that have to do with a directory: their
// command line or environment names it, or they work in it.
func leftProcesses(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		command, _ := os.ReadFile(filepath.Join(proc, "cmdline")) // empty if the process has just exited
		environ, _ := os.ReadFile(filepath.Join(proc, "environ"))
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		if strings.Contains(string(command)+string(environ), dir) || strings.HasPrefix(cwd, dir) {
			left = append(left, e.Name()+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return left
}

// leftSockets returns the sockets below a directory.
func leftSockets(t testing.TB, dir string) []string {
	t.Helper()
	var left []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() == fs.ModeSocket {
			left = append(left, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// checkNothingLeft fails the test when a supervisor left something behind.
func checkNothingLeft(t testing.TB, dir string) {
	t.Helper()
	if left := leftProcesses(t, dir); len(left) > 0 {
		t.Errorf("processes left behind:\n%s", strings.Join(left, "\n"))
	}
	if left := leftSockets(t, dir); len(left) > 0 {
		t.Errorf("sockets left behind: %q", left)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".multisite", "run", "*")); err != nil || len(left) > 0 {
		t.Errorf("directories of sockets left behind: %q, %v", left, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, ".multisite", "logs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkNoCrash(t, string(b))
	}
}

var crash = regexp.MustCompile(`DATA RACE|(?m:^|\s)(panic|fatal error): `)

// checkNoCrash fails the test when a Go program of ours crashed or raced, as
// what it wrote tells.
func checkNoCrash(t testing.TB, text string) {
	t.Helper()
	if crash.MatchString(text) {
		t.Errorf("a program of ours crashed:\n%s", text)
	}
}
