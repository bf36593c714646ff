package main

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// testPID names the variable by which our own commands know the test binary.
const testPID = "MULTISITE_TEST_PID"

// TestMain puts this binary on PATH under the names of the programs that the
// tests run: multisite itself, and a load generator.
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

// endWithTest ends this process when the test binary has ended, however that
// was: `up -d` outlives its parent, and must not outlive a test that was killed.
// A worker has the site's environment and ends with its supervisor.
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
		ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(ended, -1); !errors.Is(err, unix.EINTR) {
				os.Exit(3)
			}
		}
	}()
}
