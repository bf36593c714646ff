package wsgi

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// stackTime is how long a process that is not ready in time has for writing its stack.
const stackTime = 3 * time.Second

// loading is a site zygote that has not reported yet.
type loading struct {
	*process.Process
	asked sync.Once // for its stack; several launches may wait for one zygote
}

// hangsAt makes the process write its stack, once, and returns where it hangs.
func (l *loading) hangsAt() string {
	l.asked.Do(func() { askForStack(l.Process) })
	return hangsAt(l.Tail())
}

// timedOut reports whether a launch has used all the time that it may take.
func timedOut(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }

// askForStack makes a process write the stacks of its threads to its output, that
// of the main thread last (faulthandler, see lifecycle.py).
func askForStack(p *process.Process) {
	p.Ask(syscall.SIGUSR1, func(line string) bool {
		return line == "  ..." || strings.HasSuffix(line, " in _run_module_as_main")
	}, stackTime)
}

var frame = regexp.MustCompile(`^  File "(.+)", line ([0-9]+) in (.+)$`)

// notProject are parts of paths that mark files outside of the project's own code.
var notProject = []string{"<frozen ", "/multisite_wsgi/", "/site-packages/", "/dist-packages/", "/lib/python3"}

// hangsAt returns where the main thread is, from its stack, which is the last one
// in the output: the latest frame in the project's own code, or the outermost
// frame where there is none.
func hangsAt(output []string) string {
	var at, any string
	for _, line := range slices.Backward(output) {
		if strings.HasSuffix(line, "(most recent call first):") {
			break
		}
		f := frame.FindStringSubmatch(line)
		if f == nil {
			continue
		}
		any = fmt.Sprintf(", hangs at %s:%s (%s)", f[1], f[2], f[3])
		if !slices.ContainsFunc(notProject, func(mark string) bool { return strings.Contains(f[1], mark) }) {
			at = any
		}
	}
	if at == "" {
		return any
	}
	return at
}
