package wsgi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// TestMain makes this program a subreaper, as a supervisor is, and runs it as a
// supervisor when a test has started it as one. No test may leave a child process,
// running or zombie.
func TestMain(m *testing.M) {
	if err := process.BecomeSubreaper(); err != nil {
		panic(err)
	}
	if len(os.Args) == 4 && os.Args[1] == "supervise" {
		supervise(os.Args[2], os.Args[3])
		return
	}
	code := m.Run()
	deadline := time.Now().Add(patience)
	go process.ReapOrphans(context.Background(), 100*time.Millisecond) // learners that died with their zygote
	for tick := time.Tick(100 * time.Millisecond); anyChild(); <-tick {
		if time.Now().After(deadline) {
			out, _ := exec.Command("ps", "-o", "pid,ppid,pgid,stat,comm", "--ppid", fmt.Sprint(os.Getpid())).CombinedOutput()
			fmt.Fprintf(os.Stderr, "a child process was left behind:\n%s", out)
			code = 1
			break
		}
	}
	os.Exit(code)
}

// anyChild reports whether this process has a child, running or zombie.
func anyChild() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}
