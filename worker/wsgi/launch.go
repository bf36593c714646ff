package wsgi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/unixsock"
)

// event is what a worker says once on its status pipe.
type event struct {
	Event     string   `json:"event"` // "ready", "failed" or, of a zygote, "unsafe"
	Python    string   `json:"python"`
	Django    string   `json:"django"`
	Static    []Static `json:"static"`
	Error     string   `json:"error"`
	Traceback string   `json:"traceback"`

	Reasons []string       `json:"reasons"` // of "unsafe"
	Warmup  []WarmupResult `json:"warmup"`  // of a zygote
	Tricks  []string       `json:"tricks"`  // that a zygote applied

	SafeWhenLoaded bool `json:"safe_when_loaded"` // of "unsafe": before the warm-up nothing was found
	EndedByFork    int  `json:"ended_by_fork"`    // of a zygote: threads of C libraries that a fork ends
}

// Static is a URL prefix and the directories in which a Django site has its
// static files.
type Static struct {
	URL  string   `json:"url"`
	Dirs []string `json:"dirs"`
}

// Launch starts a worker and returns it when it answers: forked from the site's
// zygote, or in a fresh interpreter. A site whose code does not load is a
// *process.LaunchError with its traceback.
func (r *Runtime) Launch(ctx context.Context, id string) (*Worker, error) {
	if _, err := installCode(r.opts.CodeDir); err != nil { // it may have been removed
		return nil, err
	}
	path := r.socketPath(id)
	listener, err := unixsock.Listen(path, r.opts.Threads+1)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	w, err := r.launch(ctx, id, path, listener)
	if err != nil {
		_ = os.Remove(path) // nobody listens any more
		return nil, err
	}
	return w, nil
}

func (r *Runtime) launch(ctx context.Context, id, path string, listener *os.File) (*Worker, error) {
	if r.opts.Preload == PreloadOff {
		p, status, err := r.spawn(id, listener)
		if err != nil {
			return nil, err
		}
		return r.await(ctx, p, status, path)
	}
	w, err := r.launchForked(ctx, id, path, listener)
	if errors.Is(err, errZygoteGone) { // it went to rest, or was killed, in this moment
		w, err = r.launchForked(ctx, id, path, listener)
	}
	return w, err
}

func (r *Runtime) launchForked(ctx context.Context, id, path string, listener *os.File) (*Worker, error) {
	m, err := r.getMould(ctx, id)
	if err != nil {
		return nil, err
	}
	var w *Worker
	p, status, err := r.born(m, id, listener)
	if err == nil {
		w, err = r.await(ctx, p, status, path)
	}
	r.count(ctx, m, err)
	if err == nil && m.zygote != nil {
		w.info = m.info
	}
	return w, err
}

// await returns the worker when it answers, and ends it when it does not.
func (r *Runtime) await(ctx context.Context, p *process.Process, status *os.File, path string) (*Worker, error) {
	defer status.Close()
	stop := context.AfterFunc(ctx, func() {
		if overdue(ctx) {
			askForStack(p)
		}
		p.Kill()
	})
	defer stop()
	w := &Worker{Process: p, socket: path, client: r.client(path)}
	err := process.Prepare(p, r.opts.Prepare)
	if err == nil {
		w.info, err = waitReady(p, status)
	}
	if err == nil {
		err = w.client.Probe(ctx)
	}
	if err == nil {
		return w, nil
	}
	w.Kill()
	<-w.Done()
	if why := context.Cause(ctx); why != nil {
		failed := process.NewLaunchError(why.Error()+hangsAt(p.Tail()), p)
		failed.Err = why
		return nil, failed
	}
	return nil, err
}

// spawn starts the interpreter and hands it its configuration.
func (r *Runtime) spawn(id string, listener *os.File) (p *process.Process, status *os.File, err error) {
	statusR, statusW, err := process.Pipe(r.opts.Account)
	if err != nil {
		return nil, nil, err
	}
	defer statusW.Close()
	config, theirs, err := socketPair()
	if err != nil {
		statusR.Close()
		return nil, nil, err
	}
	defer config.Close()
	defer theirs.Close()
	output, err := process.NewOutput(r.opts.Account, func(line string) { r.opts.Output(id, line) })
	if err == nil {
		p, err = process.Start(r.command(output, statusW, listener, theirs))
	}
	if err != nil {
		statusR.Close()
		return nil, nil, err
	}
	theirs.Close()                                                       // or its end would not end the writing
	_ = config.SetWriteDeadline(time.Now().Add(r.opts.StartupTimeout())) // a socket has deadlines
	if err := json.NewEncoder(config).Encode(r.config(id)); err != nil {
		r.opts.Log.Debug("worker ended before it read its configuration", "worker", id, "error", err)
	}
	return p, statusR, nil
}

// waitReady reads the one event of a starting worker. Its end counts even when
// something that it started has kept its end of the pipe.
func waitReady(p *process.Process, status *os.File) (event, error) {
	var e event
	defer onEnd(p, status.SetReadDeadline)()
	line, err := bufio.NewReader(io.LimitReader(status, maxMessage)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &e)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		<-p.Done()
		return e, process.NewLaunchError(fmt.Sprintf("the worker ended before it was ready: %v", p.Exit()), p)
	case err != nil:
		return e, fmt.Errorf("read the worker's first word: %w", err)
	case e.Event == "unsafe":
		return e, &unsafeError{e.Reasons}
	case e.Event != "ready":
		leaveItself(p)
		return e, &process.LaunchError{Problem: e.Error, Detail: e.Traceback, Process: p}
	}
	return e, nil
}
