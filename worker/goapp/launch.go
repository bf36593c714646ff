package goapp

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"github.com/multisite/multisite/worker"
	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/unixsock"
	"golang.org/x/sys/unix"
)

// start runs the program through go-plugin until it says that it is ready. The
// end of ctx kills it, which is what ends every wait in here. The client needs no
// Kill, which would wait two seconds for nothing: it ends with the process.
func (w *Worker) start(ctx context.Context, o Options, listener *os.File) error {
	var run *app
	deadline, _ := ctx.Deadline() // Launch has set one
	disarm := func() bool { return true }
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  worker.Handshake,
		Plugins:          worker.Plugins(),
		SkipHostEnv:      true,
		StartTimeout:     time.Until(deadline) + time.Second, // ctx comes first and has a better reason
		Logger:           hclog.NewNullLogger(),              // all that it would say is in our errors
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
	err := w.greet(ctx, client, o.Account)
	if run != nil {
		run.close()
	}
	if !disarm() && err == nil {
		err = context.Cause(ctx)
	}
	return err
}

func (w *Worker) greet(ctx context.Context, client *plugin.Client, as *account.Account) error {
	address, err := client.Start() // launch and handshake
	if err != nil {
		return err
	}
	conn, err := unixsock.Dial(ctx, address.String())
	if err != nil {
		return fmt.Errorf("dial control socket: %w", err)
	}
	if err := checkPeer(conn, as); err != nil {
		conn.Close()
		return err
	}
	if w.control, err = worker.NewControl(conn); err != nil {
		return err
	}
	return w.control.Ready(ctx)
}

// checkPeer makes sure that an account's own process listens there: the directory
// is the account's, so it may have put a link to another's socket into it.
func checkPeer(conn *net.UnixConn, as *account.Account) error {
	if as == nil {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if peerErr == nil && int(peer.Uid) != as.UID {
		peerErr = fmt.Errorf("the control socket is not one of user %s", as.Name)
	}
	return peerErr
}
