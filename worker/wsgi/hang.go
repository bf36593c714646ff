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

// stackTime is how long a process that is not ready in time has to say where it hangs.
const stackTime = 3 * time.Second

// loading is a zygote that is being made.
type loading struct {
	*process.Process
	asked sync.Once
}

// where returns where it hangs. All that wait for it ask it once together.
func (l *loading) where() string {
	l.asked.Do(func() { askForStack(l.Process) })
	return hangsAt(l.Tail())
}

// overdue tells whether a launch had all the time that it may have.
func overdue(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }

// askForStack has the stacks of a process written to its output, the main thread's
// last (faulthandler, see lifecycle.py).
func askForStack(p *process.Process) {
	p.Ask(syscall.SIGUSR1, func(line string) bool {
		return line == "  ..." || strings.HasSuffix(line, " in _run_module_as_main")
	}, stackTime)
}

var frame = regexp.MustCompile(`^  File "(.+)", line ([0-9]+) in (.+)$`)

// notOurs are marks of files that are not the project's own.
var notOurs = []string{"<frozen ", "/multisite_wsgi/", "/site-packages/", "/dist-packages/", "/lib/python3"}

// hangsAt is where the main thread is by its stack, the last in the output: the
// latest line of the project's own code, or of any where it has none there.
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
		if !slices.ContainsFunc(notOurs, func(mark string) bool { return strings.Contains(f[1], mark) }) {
			at = any
		}
	}
	if at == "" {
		return any
	}
	return at
}
