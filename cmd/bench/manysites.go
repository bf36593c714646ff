package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (b *bench) sitesCommand() *cobra.Command {
	return b.command("sites", "Growth: 1,000 sites, 200 active workers, 10,000 connections", b.sites)
}

func (b *bench) sites(ctx context.Context, r *report) error {
	p, err := b.newProject(ctx, b.python())
	if err != nil {
		return err
	}
	r.note("multisite runs %s.", p.version)
	many, workers, connections := 1000, 200, 10000
	if b.quick {
		many, workers, connections = 300, 20, 1000
	}
	return errors.Join(
		b.manySites(ctx, r, p, many),
		b.manyWorkers(ctx, r, p, workers),
		b.manyConnections(ctx, r, p, connections),
	)
}

// sleepingSites writes a sites.toml of n sleeping sites of all kinds, and one that is awake.
func sleepingSites(p *project, n int) string {
	toml := sitesTOML(p, []site{bareSite(2)}, "")
	var t strings.Builder
	t.WriteString(toml)
	for i := range n - 1 {
		fmt.Fprintf(&t, "[site.sleeper%d]\nserver_name = \"sleeper%d.example.com\"\nprocesses = { min = 0, max = 5 }\n", i, i)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&t, "settings = \"subdomain%d_settings\"\n", i%2+1)
		case 1:
			t.WriteString("wsgi = \"bare:application\"\n")
		case 2:
			fmt.Fprintf(&t, "settings = \"builtin:subdomain%d\"\n", i%2+1)
		}
	}
	return t.String()
}

// crowd is a multisite with few or many sites. Repeated measurements alternate between the
// two.
type crowd struct {
	*multisite
	toml        string
	sites       int
	changes     int // changes of sites.toml so far
	check       figure
	load        figure // check, which imports all code
	up          figure
	status      figure
	reload      figure
	pss         figure // of the supervisor, MB
	descriptors int
	perSecond   figure
	frontCPU    figure
	bad         int
}

// manySites compares a supervisor of many sleeping sites with one of two sites, in
// alternation.
func (b *bench) manySites(ctx context.Context, r *report, p *project, n int) error {
	few, many := &crowd{sites: 2}, &crowd{sites: n}
	both := []*crowd{few, many}
	for _, c := range both {
		c.toml, c.frontCPU = sleepingSites(p, c.sites), figure{digits: 1}
	}
	defer func() {
		for _, c := range both {
			if c.multisite != nil {
				c.end()
			}
		}
	}()
	steps := []func(context.Context, *crowd) error{b.gather, b.weighCrowd, b.askCrowd, b.askCrowd, b.askCrowd}
	for round := range b.roundsOr(5) {
		for _, step := range steps {
			for _, c := range both {
				if err := step(ctx, c); err != nil {
					return fmt.Errorf("%d sites, round %d: %w", c.sites, round+1, err)
				}
			}
		}
	}
	showCrowds(r, few, many)
	return nil
}

func showCrowds(r *report, few, many *crowd) {
	t := r.table("Sites, all but one asleep, of mixed kinds", "sites", "check --no-import, ms", "check, ms", "up -d, ms", "status, ms",
		"reload of one change, ms", "supervisor, MB", "each sleeping site, KB", "descriptors",
		"requests/s to the one awake", "CPU of the front door for each, µs", "wrong answers")
	for _, c := range []*crowd{few, many} {
		each := "–"
		if c == many {
			each = fmt.Sprintf("%.1f", (many.pss.median()-few.pss.median())*1000/float64(many.sites-few.sites))
		}
		t.row(c.sites, c.check, c.load, c.up, c.status, c.reload, c.pss, each, c.descriptors, c.perSecond, c.frontCPU, c.bad)
	}
	r.note("A third of the sites each: Django, WSGI without a framework, built-in Go. check loads sites that load the same once.")
	cost := figure{digits: 2}
	for i, few := range few.frontCPU.rounds {
		cost.add(many.frontCPU.rounds[i] / max(few, 1)) // of laps that followed each other
	}
	r.note("Cost of a request with %d sites, with 2 it is 1: %s; of the least disturbed laps %s.",
		many.sites, cost, ratio(slices.Min(many.frontCPU.rounds), slices.Min(few.frontCPU.rounds)))
}

// gather checks a crowd and starts it again.
func (b *bench) gather(ctx context.Context, c *crowd) (err error) {
	b.say("%d sites", c.sites)
	if c.multisite != nil {
		c.end()
	}
	if c.multisite, err = b.startMultisite(ctx, c.toml, []site{bareSite(2)}); err != nil {
		return err
	}
	c.up.add(milliseconds([]time.Duration{c.multisite.up})[0])
	if _, err := c.time(ctx, &c.check, "check", "--no-import"); err != nil {
		return err
	}
	_, err = c.time(ctx, &c.load, "check")
	return err
}

// weighCrowd measures the memory of the supervisor while both run, since they share the
// pages of the program.
func (b *bench) weighCrowd(_ context.Context, c *crowd) error {
	front, _, err := c.split()
	if err != nil {
		return err
	}
	m, err := memoryOf(front)
	if err != nil {
		return err
	}
	c.pss.addBytes(m.PSS)
	c.descriptors, err = descriptors(front)
	return err
}

// time adds the duration of a command, in ms, and returns its output.
func (m *multisite) time(ctx context.Context, took *figure, args ...string) (string, error) {
	begin := time.Now()
	out, err := m.command(ctx, args...)
	took.add(float64(time.Since(begin)) / float64(time.Millisecond))
	return out, err
}

// change changes one of the sleeping sites, and reloads.
func (c *crowd) change(ctx context.Context) error {
	c.changes++
	toml := strings.Replace(c.toml, "max = 5", fmt.Sprintf("max = %d", 5+c.changes), 1)
	if err := os.WriteFile(filepath.Join(c.dir, "sites.toml"), []byte(toml), 0o600); err != nil {
		return err
	}
	out, err := c.time(ctx, &c.reload, "reload")
	if want := "sleeper0: processes changed, no worker restarted\n"; err == nil && out != want {
		return fmt.Errorf("reload says %q, want %q", out, want)
	}
	return err
}

// descriptors returns how many descriptors the processes have open.
func descriptors(procs []proc) (n int, err error) {
	for _, p := range procs {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
		if err != nil {
			return 0, err
		}
		n += len(fds)
	}
	return n, nil
}

// askCrowd sends requests to the site that is awake, and reloads a changed one.
func (b *bench) askCrowd(ctx context.Context, c *crowd) error {
	b.say("requests to one of %d sites", c.sites)
	awake := bareSite(2)
	before, _, err := c.cpu()
	if err != nil {
		return err
	}
	got, err := drive(ctx, c.addr, awake.host, exact("", "", awake.pages[0], 0).request, busyConnections, b.lapTime())
	if err != nil {
		return err
	}
	after, _, err := c.cpu()
	if err != nil {
		return err
	}
	c.perSecond.add(got.perSecond)
	c.frontCPU.add(perRequest(after-before, got.requests))
	c.bad += got.bad
	if _, err := c.time(ctx, &c.status, "status", "--json"); err != nil {
		return err
	}
	return c.change(ctx)
}
