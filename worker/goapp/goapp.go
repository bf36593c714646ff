// Package goapp starts the workers of a Go site: programs that call worker.Serve.
//
// A program is launched and controlled through hashicorp/go-plugin, but its process belongs
// to package process, which notices its end at once and ends it with the supervisor.
// Requests are sent as HTTP/1.1 over a unix socket that this package creates and the
// program inherits, so that nobody has to wait for it to appear.
//
// A Worker never outlives the supervisor. After Close nothing of it is left: no process, no
// socket file, no goroutine, no descriptor.
package goapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/unixsock"
)

// Options are the settings of a Runtime. Its functions are called at each launch, so that
// what they return may change in between.
type Options struct {
	Site      string
	Path      string                   // of the program, absolute
	Args      func() []string          // the program's arguments, without its name; nil: none
	Env       []string                 // the program's whole environment
	Dir       string                   // the program's working directory
	At        func(path string) string // returns where Path and Dir lead to; nil: to themselves
	SocketDir string                   // where the sockets are created; must exist

	Account *account.Account // the user that workers run as; nil: the supervisor's
	Umask   *int             // nil: the supervisor's
	Tasks   func() int       // how many tasks the workers' user may have, see process.Limits; nil: no limit

	Prepare func(*process.Process) error // called with each new worker before it serves; nil: nothing to do

	Log    *slog.Logger              // nil: discard
	Output func(worker, line string) // gets each line of stdout and stderr; nil: discard
}

// backlog holds connections in the time between launch and the first accept.
const backlog = 128

// Runtime starts the workers of one generation of a Go site. It does not change.
type Runtime struct{ options Options }

// New returns a Runtime. It starts nothing.
func New(o Options) *Runtime {
	if o.Args == nil {
		o.Args = func() []string { return nil }
	}
	if o.At == nil {
		o.At = func(path string) string { return path }
	}
	if o.Tasks == nil {
		o.Tasks = func() int { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Output == nil {
		o.Output = func(string, string) {}
	}
	return &Runtime{options: o}
}

// Launch starts a worker and returns when it accepts requests; the caller must close it.
// The deadline of ctx limits how long that may take. If the worker does not become ready,
// nothing of it is left, and the error is a *process.LaunchError.
func (r *Runtime) Launch(ctx context.Context, id string) (*Worker, error) {
	begin, o := time.Now(), r.options
	o.Path, o.Dir = o.At(o.Path), o.At(o.Dir)
	w := &Worker{id: id, path: filepath.Join(o.SocketDir, strings.ReplaceAll(id, "/", "-")+".sock")}
	listener, err := unixsock.Listen(w.path, backlog)
	if err != nil {
		return nil, &process.LaunchError{Problem: err.Error()}
	}
	defer listener.Close() // the worker has a copy
	w.remember()
	w.transport = newTransport(w.path)

	if err := w.start(ctx, o, listener); err != nil {
		failed := explain(ctx, w, o.Path, err)
		w.Close()
		why := context.Cause(ctx)
		if why != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			failed = &process.LaunchError{Problem: fmt.Sprintf("launch worker %s: %v", id, why), Process: w.Process}
		}
		failed.Err = why
		return nil, failed
	}
	o.Log.Debug("worker ready", "worker", id, "pid", w.PID(), "duration", time.Since(begin))
	return w, nil
}

func (o Options) prepare(p *process.Process) error { return process.Prepare(p, o.Prepare) }

// explain returns the reason of a failed start, in the program's own words if it wrote any.
func explain(ctx context.Context, w *Worker, path string, err error) *process.LaunchError {
	var known *process.LaunchError
	if errors.As(err, &known) {
		return known
	}
	if w.Process == nil {
		return &process.LaunchError{Problem: err.Error()}
	}
	if ended := w.endsByItself(ctx); !ended && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return process.NewLaunchError(fmt.Sprintf("%s was %v%s", path, context.Cause(ctx), hint(w)), w.Process)
	} else if !ended {
		return process.NewLaunchError(fmt.Sprintf("%s does not fit this multisite: %v", path, err), w.Process)
	}
	problem := fmt.Sprintf("%s ended before it was ready: %v", path, w.Exit())
	if said := lastWords(w.Tail()); said != "" {
		return process.NewLaunchError(problem+": "+said, w.Process)
	}
	return process.NewLaunchError(problem+hint(w), w.Process)
}

// hint returns what may help with a program that has written nothing.
func hint(w *Worker) string {
	if len(w.Tail()) > 0 {
		return ""
	}
	return " and said nothing; a Go site's program must call worker.Serve"
}

// lastWords returns the line that says why a Go program has exited.
func lastWords(tail []string) string {
	last := ""
	for _, line := range tail {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
		if strings.TrimSpace(line) != "" {
			last = line
		}
	}
	return last
}
