// Package worker turns a Go program into a multisite app:
//
//	func main() { worker.Serve(http.HandlerFunc(hello)) }
//
// The supervisor starts as many processes of the program as its site is configured to have.
// Handshake and control (ready, stats, drain) go through hashicorp/go-plugin. Requests
// arrive as plain HTTP/1.1 on a unix socket that the supervisor has created.
//
// What the program writes to stdout and stderr is written to the site's log, line by line.
// A panic in a handler results in a 500 and a stack in that log. The visitor's address is in
// the X-Forwarded-For header; Request.RemoteAddr is that of the front door's socket.
package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Serve answers requests with h until the supervisor ends the worker, by SIGTERM or over the
// control connection. It then finishes the requests that it has begun and returns, so that
// main can close what it has opened. If it cannot serve, it writes why to stderr, in one
// line, and exits with status 1.
func Serve(h http.Handler) {
	in, err := inherit()
	if err == nil {
		err = serve(in, h)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "multisite:", err)
		os.Exit(1)
	}
}

func serve(in *inherited, h http.Handler) error {
	// SIGTERM is caught until the process exits: after a drain over the control connection
	// it must not kill a process that is about to exit in order.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ctx, drain := context.WithCancel(ctx)
	defer drain()

	dumpStacksOnRequest()
	l := &announcing{Listener: in.listener, accepting: make(chan struct{})}
	handler := &handler{app: h}
	server := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context {
		return context.WithValue(context.Background(), drainingKey{}, ctx.Done())
	}}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()

	control := &controlServer{accepting: l.accepting, stats: handler.stats, stuck: handler.stuck, drain: drain}
	if err := serveControl(in, control); err != nil {
		return err
	}
	select {
	case err := <-failed:
		if ctx.Err() == nil {
			return fmt.Errorf("accept requests: %w", err)
		}
	case <-ctx.Done():
	}
	err := server.Shutdown(context.Background())
	handler.hijacked.Wait()
	return err
}

type drainingKey struct{}

// Draining returns a channel that is closed when the worker has to exit. ctx is that of a
// request. A handler that has hijacked its connection, as for a WebSocket, says goodbye
// then (status 1001) and closes it. The worker does not exit before; what is still open
// graceful_timeout after the worker was to be replaced is cut.
func Draining(ctx context.Context) <-chan struct{} {
	draining, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return draining
}

// dumpStacksOnRequest starts to write the stacks of all goroutines to stderr at each SIGUSR1,
// as long as the process lives.
func dumpStacksOnRequest() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			b := make([]byte, 1<<20)
			n := runtime.Stack(b, true)
			for n == len(b) {
				b = make([]byte, 2*n)
				n = runtime.Stack(b, true)
			}
			_, _ = os.Stderr.Write(b[:n]) // there is nowhere to report an error
		}
	}()
}

// serveControl starts go-plugin's server, which lives as long as the process and accepts a
// new connection after each upgrade of the supervisor, and writes the handshake. The server
// runs in go-plugin's test mode: the normal mode redirects os.Stdout and os.Stderr over the
// control connection, where the last lines before a crash would be lost.
func serveControl(in *inherited, control *controlServer) error {
	started := make(chan *plugin.ReattachConfig)
	done := make(chan struct{})
	go plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         plugin.PluginSet{controlName: controlPlugin{control}},
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr}),
		Test:            &plugin.ServeTestConfig{ReattachConfigCh: started, CloseCh: done},
	})
	select {
	case c := <-started:
		return in.shakeHands(c)
	case <-done:
		return errors.New("cannot serve the control connection")
	}
}

// announcing is a listener that announces the first call of Accept.
type announcing struct {
	net.Listener
	once      sync.Once
	accepting chan struct{} // closed by the first call of Accept
}

func (l *announcing) Accept() (net.Conn, error) {
	l.once.Do(func() { close(l.accepting) })
	return l.Listener.Accept()
}
