package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (b *bench) scaleCommand() *cobra.Command {
	return b.command("scale", "How fast workers come: +1, +10, from sleep, and made anew", b.scale)
}

// times are durations of the same thing, in milliseconds.
type times struct {
	what string
	ms   []float64
}

func (t *times) add(d time.Duration) { t.ms = append(t.ms, float64(d)/float64(time.Millisecond)) }

func (t *times) show(to *table) {
	to.row(t.what, len(t.ms), millisecond(quantile(t.ms, 0.5)), millisecond(quantile(t.ms, 0.99)), millisecond(quantile(t.ms, 1)))
}

func millisecond(v float64) figure { return figure{rounds: []float64{v}, digits: 1} }

func (b *bench) scale(ctx context.Context, r *report) error {
	repeats := 50
	if b.quick {
		repeats = 5
	}
	for _, python := range b.allPythons() {
		p, err := b.newProject(ctx, python)
		if err != nil {
			return err
		}
		t := r.table("Scale, "+p.version, "from the command to", "times", "median, ms", "p99, ms", "highest, ms")
		err = errors.Join(
			b.scaleUp(ctx, t, p, repeats),
			b.wake(ctx, t, p, repeats),
			b.recycle(ctx, r, p),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// scaleUp adds one worker, then ten, over and over.
func (b *bench) scaleUp(ctx context.Context, t *table, p *project, repeats int) error {
	sites := djangoSites(1, 5)
	m, err := b.startMultisite(ctx, sitesTOML(p, sites, ""), sites)
	if err != nil {
		return err
	}
	defer m.end()
	one := times{what: "+1: all ready, by the control socket"}
	command := times{what: "+1: `multisite scale` has returned"}
	ten := times{what: "+10: all ready, by the control socket"}
	inside := times{what: "+1: ready, inside the supervisor"}
	for i := range repeats {
		b.say("scale %d of %d", i+1, repeats)
		before, err := m.readyTimes(sites[0])
		if err != nil {
			return err
		}
		if err := errors.Join(m.scale(ctx, 6, &one), m.readied(sites[0], len(before), &inside),
			m.scale(ctx, 5, nil), m.scaleByCommand(ctx, 6, &command),
			m.scale(ctx, 5, nil), m.scale(ctx, 15, &ten), m.scale(ctx, 5, nil)); err != nil {
			return err
		}
	}
	for _, x := range []times{inside, one, command, ten} {
		x.show(t)
	}
	return nil
}

// scale gives the only site n workers and adds the duration.
func (m *multisite) scale(ctx context.Context, n int, took *times) error {
	start := time.Now()
	err := m.client.Scale(ctx, []control.Scale{{Site: "site1", Processes: n}})
	if took != nil {
		took.add(time.Since(start))
	}
	return err
}

func (m *multisite) scaleByCommand(ctx context.Context, n int, took *times) error {
	start := time.Now()
	_, err := m.command(ctx, "scale", "site1", fmt.Sprint(n))
	took.add(time.Since(start))
	return err
}

var readyLine = regexp.MustCompile(`msg="worker ready".* duration=(\S+)`)

// readyTimes returns how long each worker of a site took to be ready, from the log.
func (m *multisite) readyTimes(s site) ([]time.Duration, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, ".multisite", "logs", s.name+".log"))
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for _, line := range readyLine.FindAllSubmatch(b, -1) {
		d, err := time.ParseDuration(string(line[1]))
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// readied adds the time of the worker that the log reports after n others.
func (m *multisite) readied(s site, n int, to *times) error {
	all, err := m.readyTimes(s)
	for late := 0; err == nil && len(all) <= n && late < 200; late++ {
		time.Sleep(10 * time.Millisecond) // the log may be written a moment after the answer
		all, err = m.readyTimes(s)
	}
	if err != nil {
		return err
	}
	if len(all) != n+1 {
		return fmt.Errorf("the log has %d new workers, not 1", len(all)-n)
	}
	to.add(all[n])
	return nil
}

// recycle compares old workers with those that replace them.
func (b *bench) recycle(ctx context.Context, r *report, p *project) error {
	sites := djangoSites(2, 5)
	m, err := b.startMultisite(ctx, sitesTOML(p, sites, ""), sites)
	if err != nil {
		return err
	}
	defer m.end()
	requests := 500
	if b.quick {
		requests = 50
	}
	t := r.table("Made anew, 2 × 5, "+p.version, "workers", "USS of a worker, MB", "all but the front door, MB", "took, ms", "wrong answers")
	var old, anew weight
	old.bad = b.exercise(ctx, &m.server, sites, requests)
	if err := m.weigh(ctx, &old); err != nil {
		return err
	}
	start := time.Now()
	for _, s := range sites {
		if err := m.client.Restart(ctx, s.name); err != nil {
			return err
		}
	}
	took := time.Since(start)
	if err := m.weigh(ctx, &anew); err != nil {
		return err
	}
	t.row(fmt.Sprintf("after %d requests each", requests), old.worker, old.apps, "–", old.bad)
	t.row("restarted, idle", anew.worker, anew.apps, millisecond(float64(took)/float64(time.Millisecond)), 0)
	return nil
}
