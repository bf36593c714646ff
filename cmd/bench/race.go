package main

import (
	"context"
	"fmt"
	"time"
)

// race measures one page with every contender, in turns.
type race struct {
	title       string
	contenders  []contender
	sites       []site
	page        page
	connections int
	rounds      int
	each        time.Duration
}

// runner is a contender in a race, with its figures so far.
type runner struct {
	*server
	python    string
	perSecond figure
	p50, p99  figure
	frontCPU  figure // µs of processor time for each request
	appsCPU   figure
	bad       int
	why       string
}

// run starts all contenders, measures them in turns, and ends them. The others are idle
// meanwhile. All are compared with the first contender.
func (b *bench) race(ctx context.Context, r *report, p *project, x race) error {
	var runners []*runner
	defer func() {
		for _, n := range runners {
			n.stop()
		}
	}()
	for _, c := range x.contenders {
		s, err := c.start(ctx, b, p, x.sites)
		if err != nil && len(runners) == 0 {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err != nil { // the others are still running
			r.note("%s: %s did not start: %v", x.title, c.name, err)
			continue
		}
		s.name = c.name
		n := &runner{server: s, p50: figure{digits: 2}, p99: figure{digits: 2}}
		n.python = "–"
		if x.sites[0].settings != "" {
			n.python = whoRuns(ctx, s, x.sites)
		}
		runners = append(runners, n)
	}
	for round := range x.rounds {
		for _, n := range runners {
			b.say("%s, round %d: %s", x.title, round+1, n.name)
			if err := b.lap(ctx, n, x); err != nil {
				return fmt.Errorf("%s: %w", n.name, err)
			}
		}
	}
	x.show(r, runners)
	return nil
}

// lap warms the server up, compares the answers byte for byte, and then measures.
func (b *bench) lap(ctx context.Context, n *runner, x race) error {
	host := x.sites[0].host
	checked := load{addr: n.addr, host: host, pages: []page{x.page}, connections: x.connections, requests: 10 * x.connections}.run(ctx)
	frontBefore, appsBefore, err := n.cpu()
	if err != nil {
		return err
	}
	s, err := b.drive(ctx, n.addr, host, x.page, x.connections, x.each)
	if err != nil {
		return err
	}
	front, apps, err := n.cpu()
	if err != nil {
		return err
	}
	n.bad += checked.bad + s.bad
	if n.why == "" {
		n.why = checked.why + s.why
	}
	n.perSecond.add(s.perSecond)
	n.p50.add(s.p50)
	n.p99.add(s.p99)
	n.frontCPU.add(perRequest(front-frontBefore, s.requests))
	n.appsCPU.add(perRequest(apps-appsBefore, s.requests))
	return nil
}

func perRequest(d time.Duration, requests int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(requests, 1))
}

// cpu returns the processor time that the parts have used so far.
func (s *server) cpu() (front, apps time.Duration, err error) {
	frontProcs, appsProcs, err := s.split()
	for _, p := range frontProcs {
		front += p.cpu
	}
	for _, p := range appsProcs {
		apps += p.cpu
	}
	return front, apps, err
}

func (x race) show(r *report, runners []*runner) {
	t := r.table(x.title, "server", "requests/s", "multisite beside it", "p50, ms", "p99, ms",
		"CPU for a request, µs: front door", "workers", "Python", "wrong answers")
	for _, n := range runners {
		t.row(n.name, n.perSecond, ratio(runners[0].perSecond.median(), n.perSecond.median()), n.p50, n.p99,
			n.frontCPU, n.appsCPU, n.python, n.bad)
		if n.bad > 0 {
			r.note("%s, %s: %d wrong answers, the first: %.300s", x.title, n.name, n.bad, n.why)
		}
	}
}
