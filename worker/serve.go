// Package worker turns a Go program into a multisite app:
//
//	func main() { worker.Serve(http.HandlerFunc(hello)) }
//
// The supervisor starts the program as often as its site says, through
// hashicorp/go-plugin: handshake and control (ready, stats, drain) are go-plugin's,
// requests come as plain HTTP/1.1 on a unix socket that the supervisor made.
//
// What the program writes to stdout and stderr becomes the site's log, line by
// line. A panic in a handler is a 500 and a stack in that log. The visitor's
// address is in X-Forwarded-For: Request.RemoteAddr is the front door's socket.
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

// Serve answers requests with h until the supervisor says it is enough (SIGTERM).
// It then finishes the requests it has begun and returns, so that main can close
// what it opened; returning from main ends the program with status 0. Where it
// cannot serve, it says why in one line and exits with status 1.
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
	// Caught until the process ends: a signal that comes after a drain that the
	// supervisor asked for must not kill what is about to leave in order.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ctx, drain := context.WithCancel(ctx)
	defer drain()

	dumpStacksOnRequest()
	l := &announcing{Listener: in.listener, accepting: make(chan struct{})}
	handler := &handler{app: h}
	server := &http.Server{Handler: handler}
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
	return server.Shutdown(context.Background())
}

// dumpStacksOnRequest has the stacks of all goroutines written to stderr at SIGUSR1,
// for as long as the process lives.
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
			_, _ = os.Stderr.Write(b[:n]) // nobody could be told
		}
	}()
}

// serveControl starts go-plugin's server, which lives as long as the process, and
// tells the supervisor where it is. It runs in go-plugin's test mode: the normal
// one takes os.Stdout and os.Stderr away and sends them over the control
// connection, where the last words of a crash would be lost.
func serveControl(in *inherited, control *controlServer) error {
	started := make(chan *plugin.ReattachConfig)
	ended := make(chan struct{})
	go plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         plugin.PluginSet{controlName: controlPlugin{control}},
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr}),
		Test:            &plugin.ServeTestConfig{ReattachConfigCh: started, CloseCh: ended},
	})
	select {
	case c := <-started:
		return in.shakeHands(c)
	case <-ended:
		return errors.New("cannot serve the control connection")
	}
}

// announcing tells when its owner first asks for a connection.
type announcing struct {
	net.Listener
	once      sync.Once
	accepting chan struct{}
}

func (l *announcing) Accept() (net.Conn, error) {
	l.once.Do(func() { close(l.accepting) })
	return l.Listener.Accept()
}
