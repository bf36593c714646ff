package goapp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/multisite/multisite/worker"
)

// noLimit is go-plugin's time limit for a launch without a deadline.
const noLimit = 24 * time.Hour

// start launches the program through go-plugin and returns when it is ready. The end of ctx
// kills the process, which ends all waiting in here. go-plugin's client is not closed by
// its Kill, which would always wait for two seconds: it ends with the process.
func (w *Worker) start(ctx context.Context, o Options, listener *os.File) error {
	var run *app
	deadline, limited := ctx.Deadline()
	patience := noLimit
	if limited {
		patience = time.Until(deadline) + time.Second // ctx ends first, and its error says more
	}
	disarm := func() bool { return true }
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  worker.Handshake,
		Plugins:          worker.Plugins(),
		SkipHostEnv:      true,
		StartTimeout:     patience,
		Logger:           hclog.NewNullLogger(), // our errors say the same
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: o.SocketDir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			var err error
			if run, err = startApp(o, w.id, cmd.Env, dir, listener, deadline); err != nil {
				return nil, err
			}
			w.Process = run.Process
			disarm = context.AfterFunc(ctx, run.Process.Kill)
			if err := o.prepare(run.Process); err != nil {
				return nil, err
			}
			return run, nil
		},
	})
	err := w.greet(ctx, client, o)
	if run != nil {
		run.close()
	}
	if !disarm() && err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// greet waits for the handshake and opens the control connection. Before that it moves the
// control socket out of the account's reach, to where the next image of the supervisor
// finds it.
func (w *Worker) greet(ctx context.Context, client *plugin.Client, o Options) error {
	address, err := client.Start() // launch and handshake
	if err != nil {
		return err
	}
	w.controlPath = fmt.Sprintf("%s.%d.control", strings.TrimSuffix(w.path, ".sock"), w.PID())
	if err := os.Rename(address.String(), w.controlPath); err != nil {
		return fmt.Errorf("move control socket: %w", err)
	}
	c, err := connect(ctx, w.controlPath, o.Account)
	if err != nil {
		return err
	}
	w.link = newLink(c)
	return c.Ready(ctx)
}
