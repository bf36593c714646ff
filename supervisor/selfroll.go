package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

// selfRolls says when sites replace their workers by themselves, since new ones would share
// more of what visitors ask for.
type selfRolls struct {
	look   time.Duration // how often sites are looked at
	keep   time.Duration // how often what visitors ask for is saved; also at the end and before a roll
	quiet  time.Duration // how long a site must have been quiet before
	every  time.Duration // a site is rolled once in so long at most
	served int64         // requests of a worker before its memory is compared
	least  int64         // bytes that the workers must have come to hold since the warm-up
}

var usualSelfRolls = selfRolls{look: 10 * time.Second, keep: 5 * time.Minute, quiet: time.Minute, every: 24 * time.Hour, served: 50, least: 8 << 20}

// maxQuietLoad is how many requests a quiet site has under way, on average.
const maxQuietLoad = 0.1

// selfRoll is what is known of a site for that. Only the goroutine of watchWarmups uses it.
type selfRoll struct {
	kept  time.Time // when what visitors ask for was last saved
	quiet time.Time // since when the site has been quiet; zero: it is not
	of    *generation
	grown growth // of that generation

	before growth // of the generation that was replaced; zero: the comparison was made, or cannot be made
}

// growth is what workers hold that have served so many requests that it hardly grows further.
type growth struct {
	served int   // how many workers have
	all    bool  // every worker has
	worker int64 // USS of one of these, on average
	zygote int64 // what the zygote would hold if it were alone
}

// savedBy returns how much less the workers of now cost than those of g, for as many as can
// be compared.
func (g growth) savedBy(now growth) int64 {
	return (g.worker-now.worker)*int64(min(g.served, now.served)) + g.zygote - now.zygote
}

// isDue reports whether a site may be rolled now. rolled is when it was rolled last.
func (r *selfRoll) isDue(o selfRolls, now, rolled time.Time, quiet bool) bool {
	switch {
	case !quiet:
		r.quiet = time.Time{}
	case r.quiet.IsZero():
		r.quiet = now
	}
	return !r.quiet.IsZero() && now.Sub(r.quiet) >= o.quiet && now.Sub(rolled) >= o.every
}

// watchWarmups saves what visitors ask for, and rolls sites, until ctx ends.
func (s *Supervisor) watchWarmups(ctx context.Context) {
	ticker := time.NewTicker(s.selfRolls.look)
	defer ticker.Stop()
	rolls := map[*site]*selfRoll{}
	for {
		select {
		case <-ticker.C:
			s.lookAtWarmups(ctx, time.Now(), rolls)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Supervisor) lookAtWarmups(ctx context.Context, now time.Time, rolls map[*site]*selfRoll) {
	known, due, pays := map[*site]*selfRoll{}, []*site(nil), false
	for _, t := range s.sites.all() {
		if !t.config().Preload.LearnsWarmup() || t.python() == nil {
			continue
		}
		r := rolls[t]
		if r == nil {
			r = &selfRoll{}
		}
		known[t] = r
		if now.Sub(r.kept) >= s.selfRolls.keep {
			t.keepWarmup(ctx)
			r.kept = now
		}
		t.measureGrowth(r, s.selfRolls)
		if r.isDue(s.selfRolls, now, t.warmup.rolledAt(), t.isQuiet()) {
			due = append(due, t)
			pays = pays || t.rollPays(r, s.selfRolls) && t.mayRoll(s.lookAtCode()) // in this order: a look at the code takes long
		}
	}
	clear(rolls)
	for t, r := range known {
		rolls[t] = r
	}
	if pays {
		s.rollForWarmup(ctx, now, due, rolls)
	}
}

// isQuiet reports whether the site has all its workers, and hardly any visitors.
func (t *site) isQuiet() bool {
	st, counts := t.pool.Status(), t.stats.Counts()
	return st.State == pool.SiteRunning && len(st.Workers) == st.Desired && st.Active == 0 && st.Queued == 0 &&
		counts.PerSecond*counts.P50.Seconds() < maxQuietLoad
}

// mayRoll reports whether new workers would be what the old ones are: forked, and of the
// same code.
func (t *site) mayRoll(look *code.Look) bool {
	g, _ := t.launchedFrom()
	return t.failed.Load() == nil && g.python != nil && g.inherited == nil && g.python.ZygotePID() != 0 &&
		look.Tree(placesOf(g.cfg)).Equal(g.code)
}

// rollPays reports whether visitors ask for pages that the zygote has not warmed up to, and
// several workers have come to hold much since the warm-up.
func (t *site) rollPays(r *selfRoll, o selfRolls) bool {
	isNew := func(path string) bool { return !slices.Contains(r.of.warmup, path) }
	by := (r.grown.worker - r.of.fresh.Load()) * int64(r.grown.served)
	return r.grown.served > 1 && by >= o.least && slices.ContainsFunc(t.warmup.next(), isNew)
}

// measureGrowth measures workers that have served enough, until all have. It tells what a
// roll has saved.
func (t *site) measureGrowth(r *selfRoll, o selfRolls) {
	g, _ := t.launchedFrom()
	if r.of != g {
		r.of, r.grown = g, growth{}
	}
	st := t.pool.Status()
	if g.python == nil || r.grown.all || len(st.Workers) != st.Ready { // or a roll is under way
		return
	}
	served := slices.DeleteFunc(st.Workers, func(w pool.WorkerStatus) bool { return w.Requests < o.served })
	if len(served) <= r.grown.served { // to measure again takes time, and tells no more
		return
	}
	var now growth
	for _, w := range served {
		if m := memoryOfWorker(w); m.USS > 0 {
			now.served++
			now.worker += m.USS
		}
	}
	if now.served < 2 {
		return
	}
	now.worker /= int64(now.served)
	now.zygote = memoryOfProcess(g.python.ZygotePID()).Unshared
	now.all = now.served == st.Ready
	r.grown = now
	if before := r.before; before.served > 0 && now.served >= before.served && t.warmup.isOf(g) {
		t.tellSaved(before, now, o.served)
		r.before = growth{}
	}
}

// tellSaved logs and keeps what a roll has saved.
func (t *site) tellSaved(before, now growth, served int64) {
	saved := before.savedBy(now)
	t.warmup.setSaved(saved)
	detail := fmt.Sprintf("saved %.1f MB: after %d requests a worker holds %.1f MB of its own, before the roll %.1f MB",
		float64(saved)/(1<<20), served, float64(now.worker)/(1<<20), float64(before.worker)/(1<<20))
	t.log.Info("the warm-up that visitors have taught is compared", "result", detail)
	t.super.journal.Record(journal.Event{Site: t.name, Kind: "warm-up compared", Reason: string(pool.ReasonWarmup), Detail: detail})
}

// memoryOfWorker returns the memory of a worker; none if it has exited.
func memoryOfWorker(w pool.WorkerStatus) process.Memory {
	if w.Worker == nil {
		return process.Memory{}
	}
	return memoryOfProcess(w.Worker.PID())
}

// rollForWarmup rolls quiet sites, one after the other. They are rolled in one go, since
// sites that start together share modules. A reload need not wait for more than the workers
// of one of them, and for no trial.
func (s *Supervisor) rollForWarmup(ctx context.Context, now time.Time, due []*site, rolls map[*site]*selfRoll) {
	if s.upgrader.active.Load() || !s.reloader.mu.TryLock() {
		return // another look will come
	}
	defer s.reloader.mu.Unlock()
	look := s.lookAtCode()
	var next []*generation
	due = slices.DeleteFunc(due, func(t *site) bool {
		if !t.mayRoll(look) {
			return true
		}
		g, err := t.newGeneration(t.config(), look)
		if err != nil {
			t.log.Warn("no new workers to warm up", "error", err)
			return true
		}
		next = append(next, g)
		return false
	})
	joinProjects(next, s.log)
	for i, g := range next {
		if t := due[i]; s.reloader.waiting.Load() == 0 && ctx.Err() == nil && t.isQuiet() && t.mayRoll(s.lookAtCode()) {
			t.rollOnce(ctx, now, g, rolls[t])
		} else {
			g.close()
		}
	}
}

// rollOnce rolls the site to g. Its trial is given up for a reload that waits.
func (t *site) rollOnce(ctx context.Context, now time.Time, g *generation, r *selfRoll) {
	before := r.grown
	t.warmup.setRolled(g, now)
	t.keepWarmup(ctx) // before: should the roll end this program, it is not tried again at each start
	rolling, end := context.WithCancelCause(ctx)
	defer end(nil)
	proven := func() { t.super.reloader.setTrial(nil) } // from then on the old workers are to be drained
	t.super.reloader.setTrial(end)
	err := t.roll(rolling, g, pool.ReasonWarmup, proven)
	proven()
	event := journal.Event{Site: t.name, Kind: "workers replaced", Reason: string(pool.ReasonWarmup), Detail: "warmed up to " + strings.Join(g.warmup, " ")}
	if err != nil {
		t.log.Warn("no new workers to warm up, the old ones serve on", "error", err)
		event.Kind, event.Detail = "workers not replaced", err.Error()
	} else {
		t.log.Info("new workers, warmed up to what visitors ask for most", "paths", strings.Join(g.warmup, " "))
		r.before = before
	}
	t.super.journal.Record(event)
}
