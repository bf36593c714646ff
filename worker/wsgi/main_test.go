package wsgi

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// TestMain makes this program a subreaper, as a supervisor is, and plays one when
// a test started it as one. No test may leave a child, dead or alive.
func TestMain(m *testing.M) {
	if err := process.BecomeSubreaper(); err != nil {
		panic(err)
	}
	if len(os.Args) > 1 {
		if dir, ok := strings.CutPrefix(os.Args[1], "supervise="); ok {
			supervise(dir)
			return
		}
	}
	code := m.Run()
	if pid := anyChild(); pid != 0 {
		fmt.Fprintf(os.Stderr, "process %d was left behind\n", pid)
		code = 1
	}
	os.Exit(code)
}

// anyChild returns a child of this process, -1 for one that runs, 0 for none.
func anyChild() int {
	var info unix.WaitStatus
	pid, err := unix.Wait4(-1, &info, unix.WNOHANG, nil)
	switch {
	case errors.Is(err, unix.ECHILD):
		return 0
	case pid == 0:
		return -1
	}
	return pid
}
