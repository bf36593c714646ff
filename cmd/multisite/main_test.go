package main

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// testPID is the variable that tells the programs of a test the pid of the test binary.
const testPID = "MULTISITE_TEST_PID"

// The tests of this package run real supervisors. What they share is in harness_*_test.go:
//
//	harness_project   the sites.toml of a test, with the Django project and a database
//	harness_running   a supervisor in a process of its own: up, must, status, eventually
//	harness_visitor   an HTTP client that finds every host name at the front door
//	harness_loader    a load generator in a process of its own
//	harness_children  the child processes of a supervisor
//	harness_left      the check that a test leaves no process and no socket behind
//
// script_test.go runs the stories of testdata/script.

// TestMain puts this binary on PATH under the names of the programs that the tests run:
// multisite itself, the load generator, and programs that cannot take over in an upgrade.
func TestMain(m *testing.M) {
	if os.Getenv(testPID) == "" {
		os.Setenv(testPID, strconv.Itoa(os.Getpid()))
		os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	}
	testscript.Main(m, map[string]func(){
		"multisite": func() {
			endWithTest()
			main()
		},
		"loader": func() {
			endWithTest()
			loader()
		},
		"stranger": stranger,
		"crasher":  crasher,
		"vanisher": vanisher,
	})
}

// endWithTest makes this process exit when the test binary exits, even if that was
// killed: `up -d` outlives its parent, but must not outlive the test. A worker has the
// environment of its site instead of testPID, and exits with its supervisor.
func endWithTest() {
	pid, err := strconv.Atoi(os.Getenv(testPID))
	if err != nil {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		os.Exit(3)
	}
	go func() {
		exited := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(exited, -1); !errors.Is(err, unix.EINTR) {
				os.Exit(3)
			}
		}
	}()
}
