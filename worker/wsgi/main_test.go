package wsgi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

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
	deadline := time.Now().Add(patience)
	for anyChild() {
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "a child process was left behind")
			code = 1
			break
		}
		runtime.Gosched()
	}
	os.Exit(code)
}

// anyChild tells whether this process has a child, be it one that has ended and
// that nobody waited for.
func anyChild() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}
