package wsgi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/process"
)

// startFromTemplate starts a worker: forked from the site zygote, else from the
// project zygote while that exists, else in an interpreter of its own. report is
// our end of its report pipe.
func (r *Runtime) startFromTemplate(m *template, id string, listener *os.File) (p *process.Process, report *os.File, err error) {
	if m.zygote != nil {
		p, report, err := r.forkWorker(m.zygote, id, forkCommand{"fork", id}, listener)
		var hazard *hazardError
		if !errors.As(err, &hazard) {
			return p, report, err
		}
		if err := r.dropZygote(m, hazard.text()); err != nil {
			return nil, nil, err
		}
	}
	if m.project != nil {
		if z, err := m.project.get(r.closed); err == nil {
			defer m.project.forksDone(r, 1)
			p, report, err := r.forkWorker(z, id, siteCommand{"worker", r.zygoteConfig(id, false)}, listener)
			if !errors.Is(err, errZygoteGone) {
				return p, report, err
			}
		}
	}
	return r.spawn(id, listener)
}

func (r *Runtime) forkWorker(z *zygote, id string, command any, listener *os.File) (*process.Process, *os.File, error) {
	pipes, err := newChildPipes(r.opts.Account, func(line string) { r.opts.Output(id, line) })
	if err != nil {
		return nil, nil, err
	}
	p, err := pipes.fork(z, r.opts.startupLimit(), command, listener)
	return p, pipes.report, err
}

// dropZygote replaces a template whose zygote is not fork-safe any more by one
// without a zygote. A background thread may start long after the site was loaded.
func (r *Runtime) dropZygote(old *template, why string) error {
	m := &template{ready: make(chan struct{})}
	m.err = r.fallBack(why)
	close(m.ready)
	r.mu.Lock()
	if r.template == old {
		r.template = m
	}
	r.mu.Unlock()
	old.zygote.kill() // its running workers go on
	return m.err
}

// failuresAllowed is how many forked workers in a row may fail to become ready
// before their zygote is given up.
const failuresAllowed = 3

// countFailures notes how the start of a forked worker went, and gives the zygote
// up when workers keep failing: the fork may have caught it in a state that no
// check sees. After a second such zygote the site goes on without one.
func (r *Runtime) countFailures(ctx context.Context, m *template, err error) {
	if m.zygote == nil || errors.Is(ctx.Err(), context.Canceled) { // a cancelled launch says nothing about the zygote
		return
	}
	r.mu.Lock()
	if err == nil {
		r.failures = 0
		r.mu.Unlock()
		return
	}
	r.failures++
	giveUp := r.failures >= failuresAllowed
	if giveUp {
		r.failures = 0
		r.failedZygotes++
	}
	last := r.failedZygotes > 1
	r.mu.Unlock()
	switch {
	case giveUp && last:
		_ = r.dropZygote(m, fmt.Sprintf("%d workers in a row did not start from a second zygote", failuresAllowed)) // the next launch returns it
	case giveUp:
		r.opts.Log.Warn("zygote given up", "pid", m.zygote.PID(), "workers", failuresAllowed, "error", err)
		m.zygote.kill()
	}
}

// childPipes are the pipes of a process that a zygote forks, whose other ends that
// process gets.
type childPipes struct {
	account *account.Account // user that the process must belong to; nil: ours
	output  *process.Output  // of its stdout and stderr; owned by the process once it is adopted

	report      *os.File // our end of the report pipe; the caller closes it after a successful fork
	childReport *os.File // the child's end, closed by fork
}

// newChildPipes returns pipes that must be given to fork. line is called with each
// line of output.
func newChildPipes(a *account.Account, line func(string)) (*childPipes, error) {
	r, w, err := process.Pipe(a)
	if err != nil {
		return nil, err
	}
	output, err := process.NewOutput(a, line)
	if err != nil {
		r.Close()
		w.Close()
		return nil, err
	}
	return &childPipes{account: a, output: output, report: r, childReport: w}, nil
}

// fork sends z a command that forks, and takes charge of the new process. z has at
// most limit to answer. first is the descriptor that the new process gets before
// its ends of the pipes. After an error the pipes are closed.
func (c *childPipes) fork(z *zygote, limit time.Duration, command any, first *os.File) (*process.Process, error) {
	var answer forkAnswer
	name := kernelName(c.childReport)
	err := z.ask(min(limit, answerTime), command, &answer, first, c.childReport, c.output.File())
	c.childReport.Close()
	switch {
	case err == nil && answer.PID > 0:
		p, err := process.Adopt(answer.PID, c.account, c.output)
		if err != nil {
			if c.account == nil && answer.PID > 1 { // with an account of its own the zygote may name any process
				_ = unix.Kill(-answer.PID, unix.SIGKILL) // nothing else would end it later
			}
			c.close()
			return nil, err
		}
		p.Forked(z.Process)
		return p, nil
	case err != nil:
		killLostFork(name)
	case len(answer.Hazards) > 0:
		err = &hazardError{answer.Hazards}
	default:
		err = fmt.Errorf("zygote %d: %s", z.PID(), answer.Error)
	}
	c.close()
	return nil, err
}

func (c *childPipes) close() {
	c.report.Close()
	c.output.Close()
}
