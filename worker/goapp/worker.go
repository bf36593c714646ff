package goapp

import (
	"context"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/multisite/multisite/worker"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/unixsock"
)

// Worker is one running process of a Go site. Its Done is closed as soon as the
// process is gone, however it went.
type Worker struct {
	*process.Process

	// These do not change after Launch or InheritWorker.
	id          string
	path        string          // of the socket for requests
	made        os.FileInfo     // the socket file as we made it
	controlPath string          // of the control socket; "": only the image that launched the worker had one
	link        *link           // the control connection; nil: there is none, and never will be
	transport   *http.Transport // for requests that are waited for

	idle idleConns // for requests that are not waited for
}

// ID is the name that the worker was launched under.
func (w *Worker) ID() string { return w.id }

// Socket is the path of the unix socket that answers requests.
func (w *Worker) Socket() string { return w.path }

// Stats asks the worker about itself.
func (w *Worker) Stats(ctx context.Context) (worker.Stats, error) {
	c, err := w.link.get(ctx)
	if err != nil {
		return worker.Stats{}, err
	}
	return c.Stats(ctx)
}

// Probe returns nil when the worker takes connections.
func (w *Worker) Probe(ctx context.Context) error {
	conn, err := unixsock.Dial(ctx, w.path)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Stuck reports whether a request runs in the worker that began at least age ago and
// that nobody waits for any more. A worker that does not answer is taken for stuck, and
// so is one without a control connection, which cannot be asked.
func (w *Worker) Stuck(age time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	c, err := w.link.get(ctx)
	if err != nil {
		return true
	}
	n, err := c.Stuck(ctx, age)
	return n > 0 || err != nil
}

// DumpStack makes the worker write the stacks of its goroutines to its log.
func (w *Worker) DumpStack() { _ = w.Signal(syscall.SIGUSR1) } // it may have ended

// Stop lets the worker finish the requests it has begun and end, kills it after
// grace, and returns when it is gone.
func (w *Worker) Stop(grace time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if c, err := w.link.get(ctx); err == nil {
			_ = c.Drain(ctx) // SIGTERM says the same to a worker that does not answer
		}
	}()
	w.Process.Stop(grace)
	cancel()
	<-asked
}

// Close kills the worker if it still runs and removes what it used. It may be
// called more than once.
func (w *Worker) Close() {
	if w.Process != nil {
		w.Kill()
		<-w.Done()
	}
	w.link.wait()
	w.transport.CloseIdleConnections()
	w.idle.close()
	// The name may belong to a newer worker by now, and so may the inode's number.
	if now, err := os.Lstat(w.path); err == nil && os.SameFile(now, w.made) && now.ModTime().Equal(w.made.ModTime()) {
		_ = os.Remove(w.path) // a stale socket is removed by the next Listen
	}
	if w.controlPath != "" {
		_ = os.Remove(w.controlPath) // its generation removes what stays
	}
}

func (w *Worker) remember() { w.made, _ = os.Lstat(w.path) }

// endsByItself gives a process that broke off the handshake the time to die of
// what ails it, and tells whether it did.
func (w *Worker) endsByItself(ctx context.Context) bool {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	if ctx.Err() != nil {
		return false // it was killed for that
	}
	select {
	case <-w.Done():
		return ctx.Err() == nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}
