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

// startReport is what a worker or a site zygote reports once on its report pipe. A
// worker that was forked from a site zygote has the report of that.
type startReport struct {
	Event     string   `json:"event"` // "ready", "failed" or, from a site zygote, "unsafe"
	Python    string   `json:"python"`
	Django    string   `json:"django"`
	Static    []Static `json:"static"`
	Error     string   `json:"error"`     // of "failed"
	Traceback string   `json:"traceback"` // of "failed"

	Hazards  []string            `json:"reasons"`   // of "unsafe"
	OpenedBy map[string][]string `json:"opened_by"` // of "unsafe": by warm-up path, what its first request has left open

	Warmup []WarmupResult `json:"warmup"` // from a site zygote
	Tricks []string       `json:"tricks"` // applied by a site zygote

	SafeWhenLoaded bool `json:"safe_when_loaded"` // of "unsafe": there was no hazard before the warm-up
	EndedByFork    int  `json:"ended_by_fork"`    // from a site zygote: how many threads of C libraries a fork ends

	Closed []string `json:"closed"` // from a site zygote: what it has closed, like "2 redis connections"
}

// Static is a URL prefix and the directories in which a Django site has its
// static files.
type Static struct {
	URL  string   `json:"url"`
	Dirs []string `json:"dirs"`
}

// Launch starts a worker and returns it when it answers: forked from the site
// zygote, or in an interpreter of its own. If the site's code does not load, the
// error is a *process.LaunchError with the traceback.
func (r *Runtime) Launch(ctx context.Context, id string) (*Worker, error) {
	if _, err := installCode(r.opts.CodeDir); err != nil { // it may have been removed meanwhile
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
		_ = os.Remove(path) // nothing listens there any more
		return nil, err
	}
	return w, nil
}

func (r *Runtime) launch(ctx context.Context, id, path string, listener *os.File) (*Worker, error) {
	if r.opts.Preload == PreloadOff {
		p, report, err := r.spawn(id, listener)
		if err != nil {
			return nil, err
		}
		return r.await(ctx, p, report, path)
	}
	w, err := r.launchForked(ctx, id, path, listener)
	if errors.Is(err, errZygoteGone) { // it was unloaded or killed at this moment
		w, err = r.launchForked(ctx, id, path, listener)
	}
	return w, err
}

func (r *Runtime) launchForked(ctx context.Context, id, path string, listener *os.File) (*Worker, error) {
	m, err := r.getTemplate(ctx, id)
	if err != nil {
		return nil, err
	}
	var w *Worker
	p, report, err := r.startFromTemplate(m, id, listener)
	if err == nil {
		w, err = r.await(ctx, p, report, path)
	}
	r.countFailures(ctx, m, err)
	if err == nil && m.zygote != nil {
		w.info = m.info
	}
	return w, err
}

// await returns the worker when it answers, and kills it if it does not.
func (r *Runtime) await(ctx context.Context, p *process.Process, report *os.File, path string) (*Worker, error) {
	defer report.Close()
	stop := context.AfterFunc(ctx, func() {
		if timedOut(ctx) {
			askForStack(p)
		}
		p.Kill()
	})
	defer stop()
	w := &Worker{Process: p, socket: path, client: r.client(path)}
	err := process.Prepare(p, r.opts.Prepare)
	if err == nil {
		w.info, err = readReport(p, report)
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

// spawn starts an interpreter and sends it its configuration. report is our end of
// its report pipe.
func (r *Runtime) spawn(id string, listener *os.File) (p *process.Process, report *os.File, err error) {
	report, childReport, err := process.Pipe(r.opts.Account)
	if err != nil {
		return nil, nil, err
	}
	defer childReport.Close()
	config, theirs, err := socketPair()
	if err != nil {
		report.Close()
		return nil, nil, err
	}
	defer config.Close()
	defer theirs.Close()
	output, err := process.NewOutput(r.opts.Account, func(line string) { r.opts.Output(id, line) })
	if err == nil {
		p, err = process.Start(r.command(output, childReport, listener, theirs))
	}
	if err != nil {
		report.Close()
		return nil, nil, err
	}
	theirs.Close()                                                     // else the write would not fail when the worker exits
	_ = config.SetWriteDeadline(time.Now().Add(r.opts.startupLimit())) // cannot fail on a socket
	if err := json.NewEncoder(config).Encode(r.config(id)); err != nil {
		r.opts.Log.Debug("worker exited before it read its configuration", "worker", id, "error", err)
	}
	return p, report, nil
}

// readReport reads the start report of p. It returns when p has exited, even if
// another process keeps p's end of the pipe open.
func readReport(p *process.Process, report *os.File) (startReport, error) {
	var e startReport
	defer limitReadsOnExit(p, report.SetReadDeadline)()
	line, err := bufio.NewReader(io.LimitReader(report, maxMessage)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &e)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		<-p.Done()
		return e, process.NewLaunchError(fmt.Sprintf("the worker exited before it was ready: %v", p.Exit()), p)
	case err != nil:
		return e, fmt.Errorf("read the worker's start report: %w", err)
	case e.Event == "unsafe":
		return e, &hazardError{e.Hazards}
	case e.Event != "ready":
		awaitExit(p)
		return e, &process.LaunchError{Problem: e.Error, Detail: e.Traceback, Process: p}
	}
	return e, nil
}
