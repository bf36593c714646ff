package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/dashboard"
	"github.com/multisite/multisite/supervisor/gate"
	"github.com/multisite/multisite/supervisor/status"
)

// endpoints are what the supervisor listens on: the front door, the dashboard and the
// control socket. They are opened by New and served by Run; nothing changes between.
type endpoints struct {
	front    []net.Listener // of the front door
	external bool           // front was passed to New, not opened from sites.toml
	secure   []net.Listener // of the front door, for TLS

	page      *gate.Gate // of the dashboard; nil: none
	pageOf    string     // the address in sites.toml
	pageToken string     // secret in the dashboard's URL

	calls   *gate.Gate      // of the control socket
	control *control.Server // serves calls; nil until it is open

	// nearby is found without the state directory, which may lie in another deployed
	// version than the one of the caller.
	nearby        *gate.Gate // nil: there is none
	nearbyControl *control.Server

	metrics metricsDoor

	servers []webServer // of the front door and the dashboard; set by serve
}

// frontDoor serves the sites.
type frontDoor interface {
	webServer
	Serve(net.Listener) error
	ServeTLS(net.Listener) error
}

// webServer serves the front door or the dashboard.
type webServer interface {
	Shutdown(context.Context) error
	Close() error
}

// listen opens the addresses of the front door, unless there are listeners already, and
// that of the dashboard.
func (e *endpoints) listen(cfg *config.Config, in *Inheritance) (err error) {
	switch {
	case in != nil:
		if e.front, err = in.listeners(in.Listen); err == nil {
			e.secure, err = in.listeners(in.ListenTLS)
		}
		if err != nil {
			return err
		}
	case !e.external:
		if e.front, err = listenAll(cfg.Listen); err != nil {
			return err
		}
	}
	if in == nil {
		if e.secure, err = listenAll(cfg.ListenTLS); err != nil {
			return err
		}
	}
	l, err := listenForMetrics(cfg.Metrics, in)
	if err != nil {
		return err
	}
	e.metrics.move(l, cfg.Metrics)
	if cfg.Dashboard == "" {
		return nil
	}
	if l, err = listenForPage(cfg.Dashboard, in); err != nil {
		return err
	}
	e.page, e.pageOf, e.pageToken = gate.New(l), cfg.Dashboard, rand.Text()
	if in != nil && in.PageToken != "" {
		e.pageToken = in.PageToken
	}
	return nil
}

func listenAll(addrs []string) (all []net.Listener, err error) {
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return all, err
		}
		all = append(all, l)
	}
	return all, nil
}

func listenForPage(addr string, in *Inheritance) (net.Listener, error) {
	if in != nil && in.Page >= 0 && in.PageOf == addr {
		return in.listener(in.Page)
	}
	return net.Listen("tcp", addr)
}

// listenForCalls opens the control socket, and the one that is found without the state
// directory. handler answers the calls.
func (e *endpoints) listenForCalls(stateDir string, cfg *config.Config, in *Inheritance, handler control.Supervisor, log *slog.Logger) error {
	var l net.Listener
	var err error
	if _, gone := os.Lstat(control.SocketPath(stateDir)); in != nil && gone == nil {
		l, err = in.listener(in.Control)
	} else {
		l, err = control.Listen(stateDir)
	}
	if err != nil {
		return err
	}
	e.calls = gate.New(l)
	e.control = control.NewServer(e.calls, handler, e.calls.ConnState)
	if err := control.SetGroup(stateDir, cfg.ControlGroup); err != nil {
		return err
	}
	if l, err := control.ListenNearby(); err != nil {
		log.Warn("commands find this supervisor only if they know its state directory", "error", err)
	} else {
		e.nearby = gate.New(l)
		e.nearbyControl = control.NewServer(e.nearby, handler, e.nearby.ConnState)
	}
	return nil
}

// addrs returns the addresses that the front door listens on.
func (e *endpoints) addrs() []string { return addrsOf(e.front) }

func addrsOf(listeners []net.Listener) []string {
	var addrs []string
	for _, l := range listeners {
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// serve begins to answer on every address and on the control socket. The channel gets
// the error of a server that ends by itself.
func (e *endpoints) serve(door frontDoor, status func(context.Context) status.Status, serving *sync.WaitGroup) <-chan error {
	failed := make(chan error, len(e.front)+len(e.secure)+3)
	web := func(serve func(net.Listener) error, l net.Listener) {
		serving.Go(func() {
			if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	for _, l := range e.front {
		web(door.Serve, l)
	}
	for _, l := range e.secure {
		web(door.ServeTLS, l)
	}
	e.servers = append(e.servers, door)
	if e.page != nil {
		page := &http.Server{Handler: dashboard.Handler(e.pageToken, status), ReadHeaderTimeout: 10 * time.Second, ConnState: e.page.ConnState}
		e.servers = append(e.servers, page)
		web(page.Serve, e.page)
	}
	for _, calls := range []*control.Server{e.control, e.nearbyControl} {
		if calls != nil {
			serving.Go(func() {
				if err := calls.Serve(); err != nil {
					failed <- err
				}
			})
		}
	}
	return failed
}

// gates returns the gates of the control sockets and of the dashboard. Of a control
// socket, own connections belong to callers that wait for what happens to it.
func (e *endpoints) gates(own int) map[*gate.Gate]int {
	gates := map[*gate.Gate]int{e.calls: own}
	if e.nearby != nil {
		gates[e.nearby] = own
	}
	if e.page != nil {
		gates[e.page] = 0
	}
	if at := e.metrics.gate(); at != nil {
		gates[at] = 0
	}
	return gates
}

// shutDown lets the front door and the dashboard finish their requests. The channel is
// closed when they have, at the latest soon after ctx has ended.
func (e *endpoints) shutDown(ctx context.Context, log *slog.Logger) <-chan struct{} {
	shut := make(chan struct{})
	var servers sync.WaitGroup
	for _, server := range e.servers {
		servers.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				log.Warn("requests in flight are cut", "limit", "graceful_timeout", "error", err)
				server.Close()
			}
		})
	}
	go func() { // ends with ctx, which every Shutdown heeds
		servers.Wait()
		close(shut)
	}()
	return shut
}

// closeControl closes the control sockets. Calls that still run have until ctx ends.
func (e *endpoints) closeControl(ctx context.Context, stateDir string) {
	if e.control == nil {
		return
	}
	e.control.Close(ctx)
	if e.nearbyControl != nil {
		e.nearbyControl.Close(ctx)
	}
	_ = os.Remove(control.SocketPath(stateDir)) // the next start would remove it
}

// closeFront closes the listeners of the front door.
func (e *endpoints) closeFront() {
	for _, l := range append(e.front, e.secure...) {
		l.Close()
	}
}

// closePage closes the listener of the dashboard.
func (e *endpoints) closePage() {
	if e.page != nil {
		e.page.Close()
	}
}

// dashboard returns the URL of the dashboard.
func (e *endpoints) dashboard() (string, error) {
	if e.page == nil {
		return "", &control.Error{Message: "there is no dashboard", Hint: `write dashboard = "127.0.0.1:8081" in sites.toml, above the first [table]`}
	}
	return dashboard.URL(e.page.Addr().(*net.TCPAddr), e.pageToken), nil
}
