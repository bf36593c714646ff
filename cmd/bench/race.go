package main

import (
	"context"
	"fmt"
	"time"
)

// runner is a contender in one row, with its figures so far.
type runner struct {
	*server `json:"-"`
	Name    string `json:"server"`

	PerSecond figure `json:"per_second"` // requests, or MB of uploads
	Ratio     figure `json:"ratio"`      // of the first contender's in the same round to this one's
	P50       figure `json:"p50_ms"`
	P99       figure `json:"p99_ms"`
	FrontCPU  figure `json:"front_cpu_us"` // of processor time for each request
	AppsCPU   figure `json:"workers_cpu_us"`
	// Memory is how much more there was than before the row, in MB.
	FrontMemory  figure `json:"front_memory_mb"`
	AppsMemory   figure `json:"workers_memory_mb"`
	KernelMemory figure `json:"socket_memory_mb"`
	After        figure `json:"memory_after_mb"`
	Begun        figure `json:"begun_s"` // when all readers had the beginning of their answers
	Bad          int    `json:"wrong_answers"`
	Why          string `json:"why,omitempty"`
}

func newRunner(s *server) *runner {
	two, one := figure{digits: 2}, figure{digits: 1}
	return &runner{
		server: s, Name: s.name, Ratio: two, P50: two, P99: two,
		FrontMemory: one, AppsMemory: one, KernelMemory: one, After: one, Begun: one,
	}
}

// result is what was measured of one row.
type result struct {
	Table   string    `json:"table"`
	Row     string    `json:"row"`
	Runners []*runner `json:"contenders"`
	kind    kind
}

// measureSetup starts all contenders and measures the rows in turns: in each round every
// contender once, while the others are idle.
func (b *bench) measureSetup(ctx context.Context, r *report, p *project, s setup, f *rowFlags) error {
	var servers []*server
	defer func() {
		for _, n := range servers {
			n.stop()
		}
	}()
	for i, c := range b.contenders(ctx, r, p, s, f) {
		b.say("%s: %s starts", s.rows[0].title, c.name)
		n, err := c.start(ctx, b, p, []site{s.site})
		if err != nil && i == 0 {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err != nil { // the others are still running
			r.note("%s, %s: it did not start: %v", s.rows[0].title, c.name, err)
			continue
		}
		n.name = c.name
		servers = append(servers, n)
		if s.site.settings != "" {
			r.note("%s runs Python %s.", c.name, whoRuns(ctx, n, []site{s.site}))
		}
	}
	for _, x := range s.rows {
		got, err := b.race(ctx, r, x, s.site.host, servers)
		if err != nil {
			return err
		}
		got.Table = s.table
		r.Rows = append(r.Rows, got)
		b.say("%s", got)
		if err := b.profile(ctx, r, f.profile, x, s.site.host, got); err != nil {
			return err
		}
	}
	return nil
}

// race measures one row. A peer that breaks is left out of it.
func (b *bench) race(ctx context.Context, r *report, x row, host string, servers []*server) (*result, error) {
	got := &result{Row: x.title, kind: x.kind}
	for _, s := range servers {
		got.Runners = append(got.Runners, newRunner(s))
	}
	rounds := b.roundsOr(5)
	if x.kind == stalledReaders {
		rounds = 1
	}
	for range rounds {
		var here []*runner
		for i, n := range got.Runners {
			err := b.lap(ctx, n, x, host, b.rowTime())
			if err != nil && (i == 0 || ctx.Err() != nil) {
				return nil, fmt.Errorf("%s, %s: %w", x.title, n.Name, err)
			}
			if err != nil {
				r.note("%s, %s: it broke: %v", x.title, n.Name, err)
				continue
			}
			here = append(here, n)
			n.Ratio.add(divide(got.Runners[0].PerSecond.last(), n.PerSecond.last()))
		}
		got.Runners = here
	}
	for _, n := range got.Runners {
		if n.Bad > 0 {
			r.note("%s, %s: %s, the first: %.300s", x.title, n.Name, counted(n.Bad, "wrong answer"), n.Why)
		}
	}
	return got, nil
}

func (n *runner) count(s speed) {
	n.Bad += s.bad
	if n.Why == "" {
		n.Why = s.why
	}
}

// lap warms the server up for a moment, and then measures.
func (b *bench) lap(ctx context.Context, n *runner, x row, host string, each time.Duration) error {
	if x.kind == stalledReaders {
		return b.stall(ctx, n, x, host)
	}
	warm, err := n.drive(ctx, host, x, each/10)
	if err != nil {
		return err
	}
	n.count(warm)
	var peak *memoryPeak
	if x.kind == uploads {
		peak = n.watchMemory()
		defer peak.stop()
	}
	frontBefore, appsBefore, err := n.cpu()
	if err != nil {
		return err
	}
	s, err := n.drive(ctx, host, x, each)
	if err != nil {
		return err
	}
	front, apps, err := n.cpu()
	if err != nil {
		return err
	}
	n.count(s)
	n.P50.add(s.p50)
	n.P99.add(s.p99)
	n.FrontCPU.add(perRequest(front-frontBefore, s.requests))
	n.AppsCPU.add(perRequest(apps-appsBefore, s.requests))
	if x.kind == uploads {
		peak.stop()
		n.FrontMemory.addBytes(peak.front)
		n.AppsMemory.addBytes(peak.apps)
		s.perSecond *= float64(len(x.request.body)) / 1e6
	}
	n.PerSecond.add(s.perSecond)
	return nil
}

func perRequest(d time.Duration, requests int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(requests, 1))
}

// cpu returns the processor time that the parts have used so far.
func (s *server) cpu() (front, apps time.Duration, err error) {
	frontProcs, appsProcs, err := s.split()
	return cpuOf(frontProcs), cpuOf(appsProcs), err
}
