package supervisor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/dashboard"
	"github.com/multisite/multisite/supervisor/warnings"
	"github.com/multisite/multisite/worker/process"
)

// Run starts every site, serves until ctx ends or Down is called, lets requests
// in flight finish, and returns when the last worker has ended. When force ends,
// what still runs is killed.
func (s *Supervisor) Run(ctx, force context.Context) error {
	if err := process.BecomeSubreaper(); err != nil {
		return err
	}
	door, err := s.proxy.NewServer()
	if err != nil {
		return err
	}
	s.door = door
	defer context.AfterFunc(ctx, s.goDown)()
	if slices.ContainsFunc(s.config().Sites, func(c *config.Site) bool { return c.MemoryLimitHard > 0 }) {
		s.controlGroups() // while there is no child yet
	}
	process.MakeSpareThreads(spareThreads)
	s.startSites(force)
	var serving sync.WaitGroup
	up, stopUp := context.WithCancel(context.Background())
	defer stopUp()
	for _, f := range []func(context.Context){s.announce, s.watching.run} {
		serving.Go(func() { f(up) })
	}
	alive, stopAlive := context.WithCancel(context.Background())
	defer stopAlive()
	for _, f := range []func(context.Context){s.sampleMemory, s.watchLimits, s.watchdog, s.keepDirectories, reapOrphans} {
		serving.Go(func() { f(alive) })
	}
	failed := s.serve(&serving)
	if s.inherited != nil {
		s.welcome()
		serving.Go(func() { s.rollStale(up) })
	}
	close(s.begun)
	if names := warnings.RunAsRoot(s.config()); names != "" {
		s.log.Warn("sites run as root, since they name no user", "sites", names)
	}
	s.log.Info("supervisor started", "pid", os.Getpid(), "listen", s.Addrs(), "sites", len(s.all()))

	select {
	case <-s.stop:
	case err = <-failed:
		s.goDown()
	}
	stopUp()
	s.notify.Stopping("letting requests in flight finish")
	s.drain(force)
	s.running.Wait()
	close(s.ended)
	stopAlive()
	s.close(force)
	serving.Wait()
	return err
}

// goDown lets Run come to its end. From now on no site is added, and no other program
// takes over.
func (s *Supervisor) goDown() { s.stopOnce.Do(func() { close(s.stop) }) }

// goingDown tells that it does.
func (s *Supervisor) goingDown() error {
	select {
	case <-s.stop:
		return errDraining
	default:
		return nil
	}
}

// startSites starts the sites that there are, and lets reloads start more.
func (s *Supervisor) startSites(force context.Context) {
	s.mu.Lock()
	s.runSite = func(t *site) {
		t.tasks.Start(force) // now: an upgrade takes what runs, and nothing that is to run
		s.running.Go(func() { t.run(force) })
	}
	for _, site := range s.sites {
		s.runSite(site)
	}
	s.mu.Unlock()
	s.publish()
}

// webServer is what serves the front door or the dashboard.
type webServer interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// serve begins to answer on every address and on the control socket. What ends
// before it was told to is sent to the channel.
func (s *Supervisor) serve(serving *sync.WaitGroup) <-chan error {
	failed := make(chan error, len(s.listeners)+3)
	web := func(server webServer, l net.Listener) {
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	for _, l := range s.listeners {
		web(s.door, l)
	}
	s.servers = append(s.servers, s.door)
	if s.page != nil {
		page := &http.Server{Handler: dashboard.Handler(s.pageToken, s.Status), ReadHeaderTimeout: 10 * time.Second, ConnState: s.page.ConnState}
		s.servers = append(s.servers, page)
		web(page, s.page)
	}
	for _, calls := range []*control.Server{s.control, s.elsewhere} {
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

// close gives back what open took.
func (s *Supervisor) close(ctx context.Context) {
	if s.control != nil {
		s.logs.EndStreams() // or their calls would keep the control socket open
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		s.control.Close(ctx)
		if s.elsewhere != nil {
			s.elsewhere.Close(ctx)
		}
		_ = os.Remove(control.SocketPath(s.dirs.state)) // the next up would remove it
	}
	if s.watching != nil {
		s.watching.watcher.Close()
	}
	for _, l := range s.listeners {
		l.Close()
	}
	var sites sync.WaitGroup
	for _, site := range s.all() {
		sites.Go(site.close)
	}
	sites.Wait()
	if s.page != nil {
		s.page.Close()
	}
	if s.journal != nil {
		if err := s.journal.Close(); err != nil {
			s.log.Warn("journal not closed cleanly", "error", err)
		}
	}
	if s.refusals != nil {
		s.refusals.Close()
	}
	if s.logs != nil {
		s.log.Info("supervisor stopped", "pid", os.Getpid())
		s.logs.Close()
	}
	if s.lock != nil {
		s.lock.Release()
	}
}
