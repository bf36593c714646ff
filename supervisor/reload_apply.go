package supervisor

import (
	"context"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
)

// apply applies the changes, of all sites at the same time, and writes what became of
// them to w; nothing is what it writes if there are none.
func (cs *changes) apply(ctx context.Context, nothing string, w io.Writer) error {
	s := cs.super
	newMetrics := s.config().Metrics != cs.cfg.Metrics
	var forMetrics net.Listener
	if newMetrics {
		var err error
		if forMetrics, err = listenForMetrics(cs.cfg.Metrics, nil); err != nil {
			dropAll(cs.sites)
			return err
		}
	}
	newGroup := !sameGroup(s.config().ControlGroup, cs.cfg.ControlGroup)
	if newGroup {
		if err := control.SetGroup(s.dirs.state, cs.cfg.ControlGroup); err != nil {
			dropAll(cs.sites)
			if forMetrics != nil {
				forMetrics.Close()
			}
			return err
		}
	}
	if newMetrics {
		s.endpoints.metrics.move(forMetrics, cs.cfg.Metrics)
	}
	newLimits := connectionLimits(cs.cfg) != connectionLimits(s.config())
	s.door.SetLimits(connectionLimits(cs.cfg))
	newACME := !reflect.DeepEqual(cs.cfg.ACME, s.config().ACME)
	s.setConfig(cs.cfg)
	newRotation := s.logs.SetRotation(cs.cfg.LogMaxSize, cs.cfg.LogKeep)
	results := make([]error, len(cs.sites))
	for i := range cs.sites {
		if ch := &cs.sites[i]; ch.next == nil {
			results[i] = cs.applyLive(ch)
		}
	}
	s.publish()

	var wg sync.WaitGroup
	for i := range cs.sites {
		if results[i] == nil {
			wg.Go(func() { results[i] = cs.applyOne(ctx, &cs.sites[i]) })
		}
	}
	wg.Wait()
	for i := range cs.sites {
		cs.sites[i].describe(w, results[i])
	}
	switched := s.merging.apply(cs.cfg) // turned off when no worker is left that would merge
	if switched != "" {
		fmt.Fprintln(w, switched)
	}
	if newGroup {
		fmt.Fprintln(w, "control_group changed")
	}
	if newMetrics {
		fmt.Fprintln(w, "metrics changed")
	}
	if newRotation {
		fmt.Fprintln(w, "log_max_size, log_keep changed")
	}
	if newLimits {
		fmt.Fprintln(w, "max_connections, max_connections_per_ip changed")
	}
	if newACME {
		fmt.Fprintln(w, "acme changed")
	}
	if len(cs.sites) == 0 && !newACME && !newLimits && !newRotation && !newGroup && !newMetrics && switched == "" {
		fmt.Fprintln(w, nothing)
	}
	return firstError(results)
}

func sameGroup(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

// maxTrialsAsleep is how many sleeping sites are woken for a trial of their new code: for
// hundreds it would take minutes, and as many processes.
const maxTrialsAsleep = 8

// leaveAsleep lets the next generations of sleeping sites have no trial if they are too
// many.
func leaveAsleep(sites []change) {
	var asleep []*generation
	for _, ch := range sites {
		if ch.next != nil && ch.site.pool.Status().State == pool.SiteSleeping {
			asleep = append(asleep, ch.next)
		}
	}
	for _, g := range asleep {
		g.noTrial = len(asleep) > maxTrialsAsleep
	}
}

// applyLive applies what needs no worker. For a site whose workers are replaced it is
// called when the first new one is ready: until then nothing of the site has changed.
func (cs *changes) applyLive(ch *change) error {
	s, t := cs.super, ch.site
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
		rescaled := t.config().Processes != ch.cfg.Processes
		t.setConfig(ch.cfg)
		set := settingsOf(ch.cfg)
		if rescaled {
			if err := s.journal.ForgetScale(context.Background(), t.name); err != nil {
				s.log.Warn("an old number of workers could not be removed from the journal", "site", t.name, "error", err)
			}
		} else { // a scale by hand holds until the file says otherwise
			st := t.pool.Status()
			set.Min, set.Max = st.Min, st.Max
		}
		t.pool.Apply(set)
		t.limitAll()
	}
	return nil
}

// applyOne starts, replaces or ends the workers of one site, and returns when that is
// done.
func (cs *changes) applyOne(ctx context.Context, ch *change) error {
	t := ch.site
	switch {
	case ch.cfg == nil:
		t.pool.Stop()
		<-t.drained // within its own timeouts
		t.tasks.awaitEnd(ctx)
		return nil
	case ch.added:
		return explain(t.config(), t.pool.AwaitTarget(ctx))
	case ch.next != nil:
		return explain(ch.cfg, t.roll(ctx, ch.next, pool.ReasonReload, func() {
			ch.switched = true
			same := t.config().Same(ch.cfg)
			_ = cs.applyLive(ch) // it fails only for a site that is added
			if !same {
				cs.super.publish()
			}
		}))
	}
	t.failed.Store(nil)
	t.happened(time.Now(), string(pool.ReasonReload))
	t.tasks.apply(ctx, ch.cfg, pool.ReasonReload, false)
	return explain(t.config(), t.pool.AwaitTarget(ctx))
}

// describe writes what became of a change, whose result was err.
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
		if ch.next.noTrial {
			line += ", not tried: it sleeps"
		}
	default:
		line = strings.Join(ch.what, ", ") + " changed, no worker restarted"
	}
	if err != nil && (ch.switched || ch.next == nil && !ch.added) {
		line += ", but not all of its workers are ready"
	}
	fmt.Fprintf(w, "%s: %s\n", name, line)
	if ch.added || slices.Contains(ch.what, "tls") {
		for _, c := range ch.site.super.certificateStatus(name) {
			if c.Source == string(certs.Files) && c.Failed != nil {
				fmt.Fprintf(w, "%s: %s\n", name, c.Failed.Error)
			}
		}
	}
	for _, st := range ch.site.tasks.Stopping() {
		fmt.Fprintf(w, "%s: %s (pid %d) finishes its work, at most %v more\n", name, st.ID, st.PID, time.Until(st.By).Round(time.Second))
	}
	if ch.added || ch.switched {
		for _, problem := range warmupProblems(ch.site.python()) {
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
