package goapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker"
	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/unixsock"
)

// askTime is how long a worker may take to say how its requests are.
const askTime = time.Second

var (
	errNoControl = errors.New("there is no control connection to the worker")
	errNoSocket  = errors.New("the control socket of the worker is not a socket")
)

// link is the control connection to a worker. An upgrade cannot hand over go-plugin's
// multiplexer, so a link ends with this image of the program; the next image connects again.
type link struct {
	done    chan struct{}   // closed when the connection is made, or cannot be
	control *worker.Control // set before done is closed; nil: the connection cannot be made
}

// newLink returns the link of a connection that is made.
func newLink(c *worker.Control) *link {
	l := &link{done: make(chan struct{}), control: c}
	close(l.done)
	return l
}

// get waits for the connection. A nil link has none.
func (l *link) get(ctx context.Context) (*worker.Control, error) {
	if l == nil {
		return nil, errNoControl
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.control == nil {
		return nil, errNoControl
	}
	return l.control, nil
}

// wait returns when nothing of the link is under way.
func (l *link) wait() {
	if l != nil {
		<-l.done
	}
}

// relink connects to the control socket of an inherited worker. It does not wait for that:
// the worker may be slow, and requests wait until the upgrade is done. failed is called if
// the connection cannot be made.
func relink(path string, as *account.Account, failed func(error)) *link {
	l := &link{done: make(chan struct{})}
	go func() { // ends within askTime; Worker.Close waits for it
		defer close(l.done)
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		c, err := connect(ctx, path, as)
		if err != nil {
			failed(err)
			return
		}
		l.control = c
	}()
	return l
}

// connect opens a control connection to a worker that runs as the account. The end of ctx
// ends the waiting for the worker's answers.
func connect(ctx context.Context, path string, as *account.Account) (*worker.Control, error) {
	// The account made the file before it was moved out of its reach. A link may lead to
	// another user's socket, and without an account checkPeer lets everybody pass.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, errNoSocket
	}
	conn, err := unixsock.Dial(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("dial control socket: %w", err)
	}
	if err := checkPeer(conn, as); err != nil {
		conn.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, err := worker.NewControl(conn)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// checkPeer makes sure that a process of the account listens on the control socket. The
// account has created that, and may have put a link to another user's socket in its place.
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
