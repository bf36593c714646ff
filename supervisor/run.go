package supervisor

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/metrics"
	"github.com/multisite/multisite/supervisor/warnings"
	"github.com/multisite/multisite/worker/process"
)

// spareThreads is more than the Go runtime was seen to need at once. It ends a program
// that gets no new thread.
const spareThreads = 32

// Run starts every site, serves until ctx ends or Down is called, lets requests in flight
// finish, and returns when the last worker has exited. When force ends, it kills what
// still runs.
func (s *Supervisor) Run(ctx, force context.Context) error {
	if err := process.BecomeSubreaper(); err != nil {
		return err
	}
	door, err := s.proxy.NewServer()
	if err != nil {
		return err
	}
	s.door = door
	defer context.AfterFunc(ctx, s.life.end)()
	if slices.ContainsFunc(s.config().Sites, func(c *config.Site) bool { return c.MemoryLimitHard > 0 }) {
		s.cgroups.get(s.log) // before the first child is started
	}
	process.MakeSpareThreads(spareThreads)
	s.startSites(force)
	s.merging.apply(s.config())
	var serving sync.WaitGroup
	up, stopUp := context.WithCancel(context.Background())
	defer stopUp()
	for _, f := range []func(context.Context){s.announce, s.keepSmall, s.watching.run, s.certFiles.run, s.watchWarmups, s.watchRules} {
		serving.Go(func() { f(up) })
	}
	watchdog := func(ctx context.Context) { s.announcer.Watchdog(ctx, s.answers) }
	reapOrphans := func(ctx context.Context) { process.ReapOrphans(ctx, orphanPeriod) }
	alive, stopAlive := context.WithCancel(context.Background())
	defer stopAlive()
	for _, f := range []func(context.Context){s.sampleMemory, s.watchLimits, watchdog, s.keepDirectories, reapOrphans} {
		serving.Go(func() { f(alive) })
	}
	failed := s.endpoints.serve(s.door, s.Status, &serving)
	s.endpoints.metrics.serve(metrics.Handler(s.snapshot, s.log))
	if s.inherited != nil {
		s.inherited.welcome(s)
		serving.Go(func() { s.upgrader.rollStale(up) })
	}
	close(s.life.serving)
	if names := warnings.RunAsRoot(s.config()); names != "" {
		s.log.Warn("sites run as root, since they name no user", "sites", names)
	}
	s.log.Info("supervisor started", "pid", os.Getpid(), "listen", s.Addrs(), "sites", len(s.sites.all()))

	select {
	case <-s.life.stop:
	case err = <-failed:
		s.life.end()
	}
	stopUp()
	s.announcer.Stopping("letting requests in flight finish")
	s.drain(force)
	s.running.Wait()
	s.merging.off()
	close(s.life.done)
	stopAlive()
	s.close(force)
	serving.Wait()
	return err
}

// orphanPeriod is how often orphans are reaped. They become children of this process,
// which is the first one of a container or the subreaper, and would stay zombies.
const orphanPeriod = 3 * time.Second

// startSites starts the sites that there are, and lets reloads start more.
func (s *Supervisor) startSites(force context.Context) {
	for _, t := range s.sites.leaving() {
		t.tasks.Start(force)
		s.running.Go(func() {
			defer close(t.done)
			t.tasks.Stop()
			s.sites.forget(t)
			t.close()
			s.forgetRemoved()
		})
	}
	s.sites.startAll(func(t, after *site) {
		s.running.Go(func() {
			defer close(t.done)
			t.run(force)
			if s.sites.forget(t) {
				t.close()
				s.forgetRemoved()
			}
		})
		if after == nil {
			t.tasks.Start(force) // at once: an upgrade hands over what runs, and not what is about to
			return
		}
		s.running.Go(func() {
			<-after.done
			t.tasks.Start(force)
		})
	})
	s.publish()
}

// forgetRemoved removes from the journal what it remembers for sites that sites.toml does not
// have any more.
func (s *Supervisor) forgetRemoved() {
	names := []string{} // not null, as JSON
	for _, c := range s.config().Sites {
		names = append(names, c.Name)
	}
	if err := s.journal.KeepOnly(context.Background(), names); err != nil {
		s.log.Warn("the journal keeps what is known of removed sites", "error", err)
	}
}

// close closes what open has opened, as far as it got.
func (s *Supervisor) close(ctx context.Context) {
	if s.endpoints.control != nil {
		s.logs.EndStreams() // or their calls would keep the control socket open
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		s.endpoints.closeControl(ctx, s.dirs.state)
	}
	if s.watching != nil {
		s.watching.watcher.Close()
	}
	if s.certFiles != nil {
		s.certFiles.watcher.Close()
	}
	s.endpoints.closeFront()
	if s.certs != nil {
		s.certs.Close()
	}
	var sites sync.WaitGroup
	for _, site := range append(s.sites.leaving(), s.sites.all()...) {
		sites.Go(site.close)
	}
	sites.Wait()
	s.endpoints.metrics.close()
	s.endpoints.closePage()
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

var errStopping = errors.New("the supervisor is going down")

// lifetime tells how far a supervisor is.
type lifetime struct {
	serving chan struct{} // closed when Run serves, with all that an upgrade has left
	stop    chan struct{} // closed by end
	done    chan struct{} // closed when the last worker has exited

	once sync.Once
}

func newLifetime() *lifetime {
	return &lifetime{serving: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
}

// end lets Run return. From now on no site is added, and no upgrade happens.
func (l *lifetime) end() { l.once.Do(func() { close(l.stop) }) }

// ending returns an error after end.
func (l *lifetime) ending() error {
	select {
	case <-l.stop:
		return errStopping
	default:
		return nil
	}
}
