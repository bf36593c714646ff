package main

import (
	"context"
	"errors"
	"fmt"
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

// sleepingSites writes n sites of all kinds that sleep, and one that is awake.
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

// crowd is a multisite with few or many sites.
type crowd struct {
	*multisite
	sites     int
	up        time.Duration
	check     time.Duration
	status    figure // ms
	reload    time.Duration
	pss       int64 // of the supervisor, idle
	perSecond figure
	frontCPU  figure
	bad       int
}

// manySites compares a supervisor of many sleeping sites with one of two, by turns.
func (b *bench) manySites(ctx context.Context, r *report, p *project, n int) error {
	few, many := &crowd{sites: 2}, &crowd{sites: n}
	for _, c := range []*crowd{few, many} {
		if err := b.gather(ctx, p, c); err != nil {
			return fmt.Errorf("%d sites: %w", c.sites, err)
		}
		defer c.end()
	}
	for round := range b.roundsOr(5) {
		for _, c := range []*crowd{few, many} {
			b.say("%d sites, round %d", c.sites, round+1)
			if err := b.askCrowd(ctx, c); err != nil {
				return err
			}
		}
	}
	t := r.table("Sites, all but one asleep, of mixed kinds", "sites", "check, ms", "up, ms", "status, ms", "reload, ms",
		"supervisor, MB", "each more site, KB", "requests/s to the one awake", "CPU of the front door, µs", "wrong answers")
	for _, c := range []*crowd{few, many} {
		each := "–"
		if c == many {
			each = fmt.Sprintf("%.0f", float64(many.pss-few.pss)/float64(many.sites-few.sites)/1e3)
		}
		var pss figure
		pss.addBytes(c.pss)
		t.row(c.sites, c.check.Milliseconds(), c.up.Milliseconds(), c.status, c.reload.Milliseconds(), pss, each,
			c.perSecond, c.frontCPU, c.bad)
	}
	r.note("cost of a request with %d sites beside 2: %s", n, ratio(many.frontCPU.median(), few.frontCPU.median()))
	return nil
}

// gather starts a crowd and takes what is taken once.
func (b *bench) gather(ctx context.Context, p *project, c *crowd) (err error) {
	b.say("%d sites", c.sites)
	begin := time.Now()
	if c.multisite, err = b.startMultisite(ctx, sleepingSites(p, c.sites), []site{bareSite(2)}); err != nil {
		return err
	}
	c.up = time.Since(begin)
	c.perSecond, c.frontCPU = figure{}, figure{digits: 1}
	for _, command := range []struct {
		name string
		took *time.Duration
	}{{"check", &c.check}, {"reload", &c.reload}} {
		begin = time.Now()
		if command.name == "check" {
			_, err = c.command(ctx, "check", "--no-import")
		} else {
			_, err = c.command(ctx, "reload")
		}
		if err != nil {
			return err
		}
		*command.took = time.Since(begin)
	}
	front, _, err := c.split()
	if err != nil {
		return err
	}
	m, err := memoryOf(front)
	c.pss = m.PSS
	return err
}

// askCrowd asks the site that is awake, and for the status of all.
func (b *bench) askCrowd(ctx context.Context, c *crowd) error {
	awake := bareSite(2)
	before, _, err := c.cpu()
	if err != nil {
		return err
	}
	got, err := b.drive(ctx, c.addr, awake.host, awake.pages[0], busyConnections, b.lapTime())
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
	begin := time.Now()
	if _, err := c.command(ctx, "status", "--json"); err != nil {
		return err
	}
	c.status.add(float64(time.Since(begin)) / float64(time.Millisecond))
	return nil
}
