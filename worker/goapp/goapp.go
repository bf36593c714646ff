// Package goapp starts the workers of a Go site: programs that call worker.Serve.
//
// A program is launched, greeted and controlled through hashicorp/go-plugin, but
// its process belongs to package process, which sees its death at once and ties
// its life to ours. Requests go as HTTP/1.1 over a unix socket that is made here
// and inherited by the program, so that nobody waits for it to appear.
//
// A Worker never outlives the supervisor, and after Close nothing of it is left:
// no process, no socket file, no goroutine, no descriptor.
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

// Options says what the workers of a site are.
type Options struct {
	Site      string
	Path      string          // the program, absolute
	Args      func() []string // its arguments, without its name, asked for each start; nil: none
	Env       []string        // its whole environment
	Dir       string          // its working directory
	SocketDir string          // where the sockets are made; must exist

	At func(path string) string // where Path and Dir are, asked for each start; nil: there

	Account *account.Account // who the workers run as; nil: as this process
	Umask   *int             // nil: this process's
	Tasks   func() int       // that their user may have, see process.Limits; nil: no bound

	Prepare func(*process.Process) error // called with each new worker before it serves; may be nil

	Log    *slog.Logger              // default: discard
	Output func(worker, line string) // gets each line of stdout and stderr; may be nil
}

// backlog holds connections for the moment between launch and the first accept.
const backlog = 128

// Runtime starts the workers of one site.
type Runtime struct{ options Options }

// New returns the runtime of a site. It starts nothing.
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

// Launch starts a worker and returns when it accepts requests. The worker is the
// caller's, to be closed. When it does not become ready, nothing of it is left and
// the error is a *process.LaunchError. The deadline of ctx limits how long that may take.
func (r *Runtime) Launch(ctx context.Context, id string) (*Worker, error) {
	begin, o := time.Now(), r.options
	o.Path, o.Dir = o.At(o.Path), o.At(o.Dir)
	w := &Worker{id: id, path: filepath.Join(o.SocketDir, strings.ReplaceAll(id, "/", "-")+".sock")}
	listener, err := unixsock.Listen(w.path, backlog)
	if err != nil {
		return nil, &process.LaunchError{Problem: err.Error()}
	}
	defer listener.Close() // the worker has its own
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

// explain puts a failed start in the program's own words where it spoke.
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

func hint(w *Worker) string {
	if len(w.Tail()) > 0 {
		return ""
	}
	return " and said nothing; a Go site's program must call worker.Serve"
}

// lastWords finds the line that says why a Go program ended.
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
