package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	window      = 250 * time.Millisecond
	reloadAfter = 12 // windows under load before the reload
	watchFor    = 20 // windows after it
)

func (b *bench) reloadCommand() *cobra.Command {
	return b.command("reload", "Throughput while new code is taken up under full load, beside the peers", b.reload)
}

// reloaded is what was measured while a server was reloaded.
type reloaded struct {
	before, lowest, share figure // requests/s in windows; the lowest over the median before
	slowest               figure // ms
	replaced              figure // workers that were replaced
	bad                   int
	why                   string
}

func (b *bench) reload(ctx context.Context, r *report) error {
	p, err := b.newProject(ctx, b.python())
	if err != nil {
		return err
	}
	r.note("A Django page, 5 workers, %d connections, windows of %v. A module has changed. Reloads: multisite reload; Apache: its script touched; "+
		"uWSGI, gunicorn and granian: SIGHUP (gunicorn --preload then runs the old code on).", busyConnections, window)
	contenders := append([]contender{shared}, b.installed(ctx, r, p, pythonPeers())...)
	results := make([]reloaded, len(contenders))
	for range b.roundsOr(3) {
		for i, c := range contenders {
			b.say("reload: %s", c.name)
			if err := b.reloadOne(ctx, c, p, &results[i]); err != nil {
				r.note("%s was not measured: %v", c.name, err)
			}
		}
	}
	t := r.table("Reload under load", "server", "requests/s before", "in the lowest window", "share of before", "slowest answer, ms", "workers replaced", "wrong answers")
	for i, c := range contenders {
		x := results[i]
		t.row(c.name, x.before, x.lowest, x.share, x.slowest, x.replaced, x.bad)
		if x.bad > 0 {
			r.note("%s: %d wrong answers, the first: %.300s", c.name, x.bad, x.why)
		}
	}
	return nil
}

// reloadOne reloads a server while it is under full load.
func (b *bench) reloadOne(ctx context.Context, c contender, p *project, sum *reloaded) error {
	sites := djangoSites(1, 5)
	s, err := c.start(ctx, b, p, sites)
	if err != nil {
		return err
	}
	defer s.stop()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	l := load{addr: s.addr, host: sites[0].host, pages: []page{helloPage(1)}, connections: busyConnections}
	warm, cancel := context.WithTimeout(ctx, 2*time.Second)
	l.run(warm)
	cancel()
	old, err := s.workers(ctx)
	if err != nil {
		return err
	}
	seen := &windows{start: time.Now()}
	l.observe = seen.answer
	var got loaded
	var loader sync.WaitGroup
	loader.Go(func() { got = l.run(loading) })
	err = reloadMeanwhile(ctx, s, p)
	stop()
	loader.Wait()
	if err != nil {
		return err
	}
	now, err := s.workers(ctx)
	if err != nil {
		return err
	}
	sum.add(seen, got)
	sum.replaced.add(float64(len(slices.DeleteFunc(now, func(pid int) bool { return slices.Contains(old, pid) }))))
	return nil
}

// reloadMeanwhile waits, changes the code, reloads, and waits again.
func reloadMeanwhile(ctx context.Context, s *server, p *project) error {
	if err := wait(ctx, reloadAfter*window); err != nil {
		return err
	}
	if err := p.change(); err != nil {
		return err
	}
	begin := time.Now()
	if err := s.reload(ctx); err != nil {
		return err
	}
	return wait(ctx, watchFor*window-time.Since(begin))
}

func (x *reloaded) add(seen *windows, got loaded) {
	before, after := seen.perSecond(0, reloadAfter), seen.perSecond(reloadAfter, reloadAfter+watchFor)
	usual, lowest := median(before), slices.Min(after)
	x.share.digits = 2
	x.before.add(usual)
	x.lowest.add(lowest)
	x.share.add(lowest / usual)
	x.slowest.add(slices.Max(milliseconds(got.times)))
	x.bad += got.bad
	if x.why == "" {
		x.why = got.why
	}
}

// windows counts right answers by the time at which they came.
type windows struct {
	start time.Time

	mu sync.Mutex
	// mu protects counts
	counts []int
}

func (w *windows) answer(_ time.Time, good bool) {
	if !good {
		return
	}
	i := int(time.Since(w.start) / window)
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.counts) <= i {
		w.counts = append(w.counts, 0)
	}
	w.counts[i]++
}

func (w *windows) perSecond(from, to int) []float64 {
	var all []float64
	for i := from; i < to; i++ {
		n := 0
		if i < len(w.counts) { // later answers do not count
			n = w.counts[i]
		}
		all = append(all, float64(n)/window.Seconds())
	}
	return all
}

// wait returns after d, or the cause when ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// signalReload reloads a server by SIGHUP to all of its processes but nginx, which was
// started last.
func (s *server) signalReload(context.Context) error {
	for _, p := range s.all[:len(s.all)-1] {
		if err := p.Signal(syscall.SIGHUP); err != nil {
			return err
		}
	}
	return nil
}

// touchReload touches the scripts, as mod_wsgi expects for new code.
func touchReload(dir string, sites []site) func(context.Context) error {
	return func(context.Context) error {
		now := time.Now()
		for _, s := range sites {
			if err := os.Chtimes(filepath.Join(dir, s.name+".wsgi"), now, now); err != nil {
				return err
			}
		}
		return nil
	}
}
