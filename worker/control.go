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

// What the supervisor gives a worker beside its command line: descriptors, and
// where to find the first of them.
const (
	ListenEnv    = "MULTISITE_LISTEN_FD"
	ListenFD     = 3 // the listening socket for requests
	HandshakeFD  = 4 // where go-plugin's handshake line goes; stdout belongs to the app
	ControlDirFD = 5 // the directory for the control socket: its path may be too long to bind
)

// Handshake is what both sides compare before they talk. The version grows when
// an older program could not be driven any more.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "MULTISITE_WORKER",
	MagicCookieValue: "started-by-multisite",
}

const controlName = "control"

// Stats is what a worker says about itself.
type Stats struct {
	Requests   int64 // begun since the start
	Active     int64 // of these, not yet answered
	Goroutines int
}

// Control is the supervisor's end of the control connection to a worker.
type Control struct{ client *rpc.Client }

// Plugins is the set that the supervisor gives to go-plugin.
func Plugins() plugin.PluginSet {
	return plugin.PluginSet{controlName: controlPlugin{}}
}

// NewControl takes over a connection to the control socket of a worker. It ends
// with the worker and is not closed before.
func NewControl(conn io.ReadWriteCloser) (*Control, error) {
	c, err := plugin.NewRPCClient(&quiet{ReadWriteCloser: conn, begun: time.Now()}, Plugins())
	if err != nil {
		return nil, fmt.Errorf("open control connection: %w", err)
	}
	v, err := c.Dispense(controlName)
	if err != nil {
		return nil, fmt.Errorf("open control connection: %w", err)
	}
	return v.(*Control), nil
}

// A worker may say so much at once, and so much more each second: keepalives, and
// answers of some bytes. It may be hostile, and gob reads messages of gigabytes.
const (
	controlBurst = 1 << 20
	controlRate  = 1 << 10
)

var errTalks = errors.New("the worker says more than it was asked")

// quiet hides that a write came too late: go-plugin's multiplexer would print it
// on our stderr. The reading side says soon enough that the worker is gone, and ends
// with one that says too much.
type quiet struct {
	io.ReadWriteCloser
	begun time.Time
	heard int64
}

func (q *quiet) Read(p []byte) (int, error) {
	n, err := q.ReadWriteCloser.Read(p)
	q.heard += int64(n)
	if q.heard > controlBurst+controlRate*int64(time.Since(q.begun)/time.Second) {
		return 0, errTalks
	}
	return n, err
}

func (q *quiet) Write(p []byte) (int, error) {
	_, _ = q.ReadWriteCloser.Write(p)
	return len(p), nil
}

// Ready returns when the worker accepts requests.
func (c *Control) Ready(ctx context.Context) error {
	return c.call(ctx, "Ready", true, new(bool))
}

// Stats asks the worker about itself.
func (c *Control) Stats(ctx context.Context) (Stats, error) {
	s := new(Stats)
	if err := c.call(ctx, "Stats", true, s); err != nil {
		return Stats{}, err
	}
	return *s, nil
}

// Stuck asks how many requests have run for at least age, though nobody waits for
// their answer any more. A program that was built before it could be asked says 0.
func (c *Control) Stuck(ctx context.Context, age time.Duration) (n int, err error) {
	err = c.call(ctx, "Stuck", age, &n)
	if old := rpc.ServerError(""); errors.As(err, &old) {
		return 0, nil
	}
	return n, err
}

// Drain tells the worker to finish what it has begun and to end, as SIGTERM does.
// It does not wait for that.
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

// controlPlugin makes either end for go-plugin. Only the worker's has a server.
type controlPlugin struct{ server *controlServer }

func (p controlPlugin) Server(*plugin.MuxBroker) (any, error) {
	if p.server == nil {
		return nil, errors.New("this end has no worker")
	}
	return p.server, nil
}

func (p controlPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &Control{client: c}, nil
}

// controlServer answers in the worker. net/rpc asks for these signatures.
type controlServer struct {
	accepting <-chan struct{}
	stats     func() Stats
	stuck     func(age time.Duration) int
	drain     func()
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
