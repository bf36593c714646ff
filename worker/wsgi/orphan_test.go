package wsgi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// supervise acts as the supervisor of the site in a directory: it launches two
// workers, prints that, and waits to be killed.
func supervise(python, dir string) {
	o := siteOptions(python, dir)
	o.Output = func(_, line string) { fmt.Println(line) }
	r, err := New(o)
	for n := 1; n <= 2 && err == nil; n++ {
		_, err = r.Launch(context.Background(), fmt.Sprintf("site/%d", n))
	}
	fmt.Println("launched", err)
	select {}
}

// TestOrphans_DieWithTheSupervisor: all processes that a supervisor has started die
// with it, in every phase of a start.
func TestOrphans_DieWithTheSupervisor(t *testing.T) {
	for _, test := range []struct {
		name, app, when string
		processes       int
	}{
		{"forked workers", helloApp, "launched <nil>", 3},
		{"workers that loaded the site", threadApp, "launched <nil>", 3}, // the project zygote waits for the third
		{"a zygote that loads", "import sys, time\nprint('loading', flush=True)\ntime.sleep(1000)\n", "loading", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := newSiteDir(t)
			if err := os.WriteFile(dir+"/app.py", []byte(test.app), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "supervise", venvPython(t), dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(lines.Text(), test.when); {
				t.Log(lines.Text())
			}
			eventually(t, fmt.Sprintf("the supervisor and %d more", test.processes), func() bool { // a zygote may be leaving
				return len(processesOf(t, dir)) == test.processes+1
			})
			kill(t, cmd.Process.Pid)
			_ = cmd.Wait() // it was killed
			eventually(t, "the processes to end", func() bool { return len(processesOf(t, dir)) == 0 })
			reapAll(t)
		})
	}
}

// reapAll waits for every child. The processes of the killed supervisor have become
// ours, since this program is a subreaper too. No other test may run meanwhile.
func reapAll(t *testing.T) {
	eventually(t, "no child to be left", func() bool {
		_, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		return errors.Is(err, unix.ECHILD)
	})
}
