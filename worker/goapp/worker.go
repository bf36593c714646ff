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

// Worker is one process of a Go site. Its Done channel is closed as soon as the process has
// exited, for whatever reason.
type Worker struct {
	*process.Process

	// These do not change after Launch or InheritWorker.
	id          string
	path        string          // of the socket for requests
	made        os.FileInfo     // the file of that socket, as this worker has it
	controlPath string          // of the control socket; "": only the image that launched the worker had one
	link        *link           // the control connection; nil: there is none, and never will be
	transport   *http.Transport // for requests that are waited for

	idle idleConns // for requests that are not waited for
}

// ID returns the name that the worker was launched with.
func (w *Worker) ID() string { return w.id }

// Socket returns the path of the unix socket for requests.
func (w *Worker) Socket() string { return w.path }

// Stats asks the worker for its counters.
func (w *Worker) Stats(ctx context.Context) (worker.Stats, error) {
	c, err := w.link.get(ctx)
	if err != nil {
		return worker.Stats{}, err
	}
	return c.Stats(ctx)
}

// Probe returns nil if the worker accepts connections.
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

// Stop tells the worker to finish the requests that it has begun and to exit, and kills it
// after grace. It returns when the worker has exited.
func (w *Worker) Stop(grace time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if c, err := w.link.get(ctx); err == nil {
			_ = c.Drain(ctx) // SIGTERM, which Process.Stop sends, says the same
		}
	}()
	w.Process.Stop(grace)
	cancel()
	<-asked
}

// Close kills the worker if it still runs, and removes its sockets. It may be called more
// than once.
func (w *Worker) Close() {
	if w.Process != nil {
		w.Kill()
		<-w.Done()
	}
	w.link.wait()
	w.transport.CloseIdleConnections()
	w.idle.close()
	// Both the path and the inode number may belong to a newer worker by now.
	if now, err := os.Lstat(w.path); err == nil && os.SameFile(now, w.made) && now.ModTime().Equal(w.made.ModTime()) {
		_ = os.Remove(w.path) // a stale socket is removed by the next Listen
	}
	if w.controlPath != "" {
		_ = os.Remove(w.controlPath) // what remains is removed with the generation
	}
}

func (w *Worker) remember() { w.made, _ = os.Lstat(w.path) }

// endsByItself gives a process that broke off the handshake time to exit, and reports
// whether it did so without being killed.
func (w *Worker) endsByItself(ctx context.Context) bool {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	if ctx.Err() != nil {
		return false // the process was killed because of that
	}
	select {
	case <-w.Done():
		return ctx.Err() == nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}
