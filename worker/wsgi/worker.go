package wsgi

import (
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/multisite/multisite/worker/fastcgi"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wire"
)

// Worker is a Python process that serves the site on its own socket. No field
// changes after Launch or InheritWorker has returned it.
type Worker struct {
	*process.Process
	client *fastcgi.Client // owned by the Worker; Close closes it
	socket string          // path of the socket; Close removes it
	info   startReport     // of the worker, or of the site zygote that it was forked from
}

// client returns a FastCGI client for a worker's socket.
func (r *Runtime) client(socket string) *fastcgi.Client {
	return fastcgi.NewClient(fastcgi.Options{
		Socket:     socket,
		ScriptName: strings.TrimSuffix(r.opts.Mount, "/"),
		Packed:     true,
		Threads:    r.opts.Threads,
		Log:        r.opts.Log,
	})
}

// RoundTrip sends a request to the worker; see fastcgi.Client.RoundTrip.
func (w *Worker) RoundTrip(r *http.Request) (*http.Response, error) { return w.client.RoundTrip(r) }

// Send sends a request without waiting; see fastcgi.Client.Send.
func (w *Worker) Send(h *wire.Head, watcher wire.Watcher) wire.Sent {
	return w.client.Send(h, watcher)
}

// SendFollower sends a request behind another one; see fastcgi.Client.SendFollower.
func (w *Worker) SendFollower(h *wire.Head, watcher wire.Watcher) wire.Sent {
	return w.client.SendFollower(h, watcher)
}

// Probe returns when the worker answers; see fastcgi.Client.Probe.
func (w *Worker) Probe(ctx context.Context) error { return w.client.Probe(ctx) }

// Socket returns the path of the worker's socket.
func (w *Worker) Socket() string { return w.socket }

// Static returns where the site's Django has its static files.
func (w *Worker) Static() []Static { return w.info.Static }

// DumpStack makes the worker write the stack of each of its threads to its log
// (Python's faulthandler).
func (w *Worker) DumpStack() { _ = w.Signal(syscall.SIGUSR1) } // it may have exited

// Close frees what the worker held in this process. The worker must have exited.
func (w *Worker) Close() {
	w.client.Close()
	_ = os.Remove(w.socket) // its directory may be gone already
}
