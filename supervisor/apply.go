package supervisor

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
)

// makeGenerations makes the sites that come and the generations that are to replace
// others. Nothing of them is left after an error.
func (s *Supervisor) makeGenerations(changes []change, look *code.Look) (err error) {
	var generations []*generation
	for i := range changes {
		ch := &changes[i]
		switch {
		case ch.cfg == nil:
		case ch.site == nil:
			if ch.site, err = s.newSite(ch.cfg, look); err == nil {
				ch.added = true
				generations = append(generations, ch.site.current)
			}
		case ch.roll != "":
			if ch.next, err = ch.site.newGeneration(ch.cfg, look); err == nil {
				generations = append(generations, ch.next)
			}
		}
		if err != nil {
			dropAll(changes[:i])
			return fmt.Errorf("site %s: %w", ch.cfg.Name, err)
		}
	}
	leaveAsleep(changes)
	joinProjects(generations, s.log)
	return nil
}

// drop ends what was made for a change that is not carried out.
func (ch *change) drop() {
	switch {
	case ch.added:
		ch.site.close()
	case ch.next != nil:
		ch.next.close()
	}
}

func dropAll(changes []change) {
	for i := range changes {
		changes[i].drop()
	}
}

// apply carries the changes out, side by side.
func (s *Supervisor) apply(ctx context.Context, cfg *config.Config, changes []change, nothing string, w io.Writer) error {
	newGroup := !sameGroup(s.config().ControlGroup, cfg.ControlGroup)
	if newGroup {
		if err := control.SetGroup(s.dirs.state, cfg.ControlGroup); err != nil {
			dropAll(changes)
			return err
		}
	}
	s.setConfig(cfg)
	newRules := s.logs.SetRotation(cfg.LogMaxSize, cfg.LogKeep)
	results := make([]error, len(changes))
	for i := range changes {
		if ch := &changes[i]; ch.next == nil {
			results[i] = s.applyLive(ch)
		}
	}
	s.publish()

	var wg sync.WaitGroup
	for i := range changes {
		if results[i] == nil {
			wg.Go(func() { results[i] = s.applyOne(ctx, &changes[i]) })
		}
	}
	wg.Wait()
	for i := range changes {
		changes[i].describe(w, results[i])
	}
	if newGroup {
		fmt.Fprintln(w, "control_group changed")
	}
	if newRules {
		fmt.Fprintln(w, "log_max_size, log_keep changed")
	}
	if len(changes) == 0 && !newRules && !newGroup {
		fmt.Fprintln(w, nothing)
	}
	return firstError(results)
}

func sameGroup(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

// mostTriedAsleep is how many sleeping sites are woken to try their new code: for
// hundreds it would take minutes, and as many processes.
const mostTriedAsleep = 8

// leaveAsleep marks the next generations of sleeping sites that are too many to try.
func leaveAsleep(changes []change) {
	var asleep []*generation
	for _, ch := range changes {
		if ch.next != nil && ch.site.pool.Status().State == pool.SiteSleeping {
			asleep = append(asleep, ch.next)
		}
	}
	for _, g := range asleep {
		g.untried = len(asleep) > mostTriedAsleep
	}
}

// applyLive applies what needs no worker: of a site whose workers are replaced, once
// the first new one is ready, or nothing of it has changed.
func (s *Supervisor) applyLive(ch *change) error {
	t := ch.site
	switch {
	case ch.cfg == nil:
		t.pool.SetStopReason(pool.ReasonReload)
		t.tasks.SetStopReason(string(pool.ReasonReload))
		s.sites.remove(t)
	case ch.added:
		if err := s.sites.add(t, s.life.ending); err != nil {
			ch.drop()
			return err
		}
	default:
		counts := t.config().Processes != ch.cfg.Processes
		t.setConfig(ch.cfg)
		set := settingsOf(ch.cfg)
		if counts {
			if err := s.journal.ForgetScale(context.Background(), t.name); err != nil {
				s.log.Warn("an old scale stays in the journal", "site", t.name, "error", err)
			}
		} else { // a scale by hand stands until the file says otherwise
			st := t.pool.Status()
			set.Min, set.Max = st.Min, st.Max
		}
		t.pool.Apply(set)
		t.limitAll()
	}
	return nil
}

// applyOne starts, replaces or ends the workers of one site.
func (s *Supervisor) applyOne(ctx context.Context, ch *change) error {
	t := ch.site
	switch {
	case ch.cfg == nil:
		t.pool.Stop()
		<-t.ended // within its own timeouts
		t.close()
		return nil
	case ch.added:
		return explain(t.name, t.pool.AwaitTarget(ctx))
	case ch.next != nil:
		return explain(t.name, t.roll(ctx, ch.next, pool.ReasonReload, func() {
			ch.switched = true
			same := t.config().Same(ch.cfg)
			_ = s.applyLive(ch) // only what is added can fail
			if !same {
				s.publish()
			}
		}))
	}
	t.failed.Store(nil)
	t.tasks.Apply(t.taskSpec(ch.cfg), string(pool.ReasonReload), false)
	return explain(t.name, t.pool.AwaitTarget(ctx))
}

// describe writes what has become of a change.
func (ch *change) describe(w io.Writer, err error) {
	name, line := ch.site.name, ""
	switch {
	case err != nil && ch.added:
		line = "added, but it does not start"
	case err != nil && ch.next != nil && !ch.switched:
		line = "not changed, its old workers serve on"
	case ch.cfg == nil:
		line = "removed"
	case ch.added:
		line = "added"
	case ch.next != nil:
		line = fmt.Sprintf("new workers, generation %d (%s)", ch.site.pool.Status().Generation, ch.roll)
		if ch.next.untried {
			line += ", not tried: it sleeps"
		}
	default:
		line = strings.Join(ch.what, ", ") + " changed, no worker restarted"
	}
	if err != nil && (ch.switched || ch.next == nil && !ch.added) {
		line += ", but not all of its workers are ready"
	}
	fmt.Fprintf(w, "%s: %s\n", name, line)
	if ch.added || ch.switched {
		for _, problem := range ch.site.warmup() {
			fmt.Fprintf(w, "%s: warm-up: %s\n", name, problem)
		}
	}
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
