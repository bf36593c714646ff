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

// noLimit is how long go-plugin waits where only the caller sets a limit.
const noLimit = 24 * time.Hour

// start runs the program through go-plugin until it says that it is ready. The
// end of ctx kills it, which is what ends every wait in here. The client needs no
// Kill, which would wait two seconds for nothing: it ends with the process.
func (w *Worker) start(ctx context.Context, o Options, listener *os.File) error {
	var run *app
	deadline, limited := ctx.Deadline() // zero: none
	patience := noLimit
	if limited {
		patience = time.Until(deadline) + time.Second // ctx comes first and has a better reason
	}
	disarm := func() bool { return true }
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  worker.Handshake,
		Plugins:          worker.Plugins(),
		SkipHostEnv:      true,
		StartTimeout:     patience,
		Logger:           hclog.NewNullLogger(), // all that it would say is in our errors
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

// greet waits for the handshake and opens the control connection. The control socket
// moves out of the account's reach, to be found there after an upgrade.
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
