package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-plugin"
)

// A worker inherits from the supervisor these descriptors, and a variable.
const (
	ListenEnv    = "MULTISITE_LISTEN_FD" // the variable that names ListenFD
	ListenFD     = 3                     // the listening socket for requests
	HandshakeFD  = 4                     // where go-plugin's handshake line is written; stdout belongs to the app
	ControlDirFD = 5                     // the directory for the control socket, whose path may be too long to bind
)

// Handshake is what both sides compare first. Its version grows when the supervisor could
// no longer control older programs.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "MULTISITE_WORKER",
	MagicCookieValue: "started-by-multisite",
}

const controlName = "control"

// Stats are the counters of a worker.
type Stats struct {
	Requests   int64 // that were begun since the start
	Active     int64 // of these, that are not answered yet
	Goroutines int
}

// Control is the supervisor's end of the control connection to a worker. Its methods may be
// called concurrently.
type Control struct{ client *rpc.Client }

// Plugins returns the plugin set that the supervisor gives to go-plugin.
func Plugins() plugin.PluginSet {
	return plugin.PluginSet{controlName: controlPlugin{}}
}

// NewControl returns the Control of a connection to a worker's control socket. It waits for
// the worker. The connection lasts as long as the worker.
func NewControl(conn io.ReadWriteCloser) (*Control, error) {
	c, err := plugin.NewRPCClient(&bounded{ReadWriteCloser: conn, begun: time.Now()}, Plugins())
	if err != nil {
		return nil, fmt.Errorf("open control connection: %w", err)
	}
	v, err := c.Dispense(controlName)
	if err != nil {
		return nil, fmt.Errorf("open control connection: %w", err)
	}
	return v.(*Control), nil
}

// A worker may send controlBurst bytes at once and controlRate bytes a second on average:
// it sends keepalives, and answers of a few bytes. It may be hostile, and gob accepts
// messages of gigabytes.
const (
	controlBurst = 1 << 20
	controlRate  = 1 << 10
)

var errTooMuch = errors.New("the worker sends more than it was asked for")

// bounded is a control connection that ends if the worker sends too much. It hides failed
// writes, which go-plugin's multiplexer would print to the supervisor's stderr: when the
// worker is gone, the reading side notices that soon enough.
type bounded struct {
	io.ReadWriteCloser
	begun time.Time // when the connection was made
	read  int64     // bytes so far; only the multiplexer's reader uses it
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p)
	b.read += int64(n)
	if b.read > controlBurst+controlRate*int64(time.Since(b.begun)/time.Second) {
		return 0, errTooMuch
	}
	return n, err
}

func (b *bounded) Write(p []byte) (int, error) {
	_, _ = b.ReadWriteCloser.Write(p)
	return len(p), nil
}

// Ready returns when the worker accepts requests.
func (c *Control) Ready(ctx context.Context) error {
	return c.call(ctx, "Ready", true, new(bool))
}

// Stats asks the worker for its counters.
func (c *Control) Stats(ctx context.Context) (Stats, error) {
	s := new(Stats)
	if err := c.call(ctx, "Stats", true, s); err != nil {
		return Stats{}, err
	}
	return *s, nil
}

// Stuck asks how many requests have run for at least age although nobody waits for their
// answers any more. A program that was built before Stuck existed counts as 0.
func (c *Control) Stuck(ctx context.Context, age time.Duration) (n int, err error) {
	err = c.call(ctx, "Stuck", age, &n)
	if old := rpc.ServerError(""); errors.As(err, &old) {
		return 0, nil
	}
	return n, err
}

// Drain tells the worker to finish the requests that it has begun and to exit, as SIGTERM
// does. It does not wait for that.
func (c *Control) Drain(ctx context.Context) error {
	return c.call(ctx, "Drain", true, new(bool))
}

func (c *Control) call(ctx context.Context, method string, arg, reply any) error {
	call := c.client.Go("Plugin."+method, arg, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
	case <-ctx.Done():
		return fmt.Errorf("ask worker for %s: %w", method, context.Cause(ctx))
	}
	if call.Error != nil {
		return fmt.Errorf("ask worker for %s: %w", method, call.Error)
	}
	return nil
}

// controlPlugin makes both ends of the control connection for go-plugin.
type controlPlugin struct {
	server *controlServer // the worker's end; nil in the supervisor
}

func (p controlPlugin) Server(*plugin.MuxBroker) (any, error) {
	if p.server == nil {
		return nil, errors.New("the supervisor does not serve control connections")
	}
	return p.server, nil
}

func (p controlPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &Control{client: c}, nil
}

// controlServer is the worker's end of control connections. Its methods have the signatures
// that net/rpc requires, and are called concurrently. Its fields do not change.
type controlServer struct {
	accepting <-chan struct{} // closed when the worker accepts requests
	stats     func() Stats
	stuck     func(age time.Duration) int
	drain     func() // makes serve finish and return
}

func (s *controlServer) Ready(_ bool, reply *bool) error {
	<-s.accepting
	*reply = true
	return nil
}

func (s *controlServer) Stats(_ bool, reply *Stats) error {
	*reply = s.stats()
	return nil
}

func (s *controlServer) Stuck(age time.Duration, reply *int) error {
	*reply = s.stuck(age)
	return nil
}

func (s *controlServer) Drain(_ bool, reply *bool) error {
	s.drain()
	*reply = true
	return nil
}
