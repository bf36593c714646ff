package main

import (
	"context"
	"fmt"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// wake lets a site fall asleep and requests a page, while its zygote is there and after that
// was unloaded.
func (b *bench) wake(ctx context.Context, t *table, p *project, repeats int) error {
	asleep := func(s status.Site) bool { return s.State == "sleeping" }
	gone := func(s status.Site) bool { return asleep(s) && s.Memory.ZygotePSS == 0 }
	for _, c := range []struct {
		what       string
		inactivity string
		repeats    int
		state      func(status.Site) bool
	}{
		{"asleep, its zygote there: the answer", "1s", max(repeats/3, 3), asleep},
		{"asleep, without zygote: the answer", "200ms", max(repeats/3, 3), gone},
	} {
		took := times{what: c.what}
		defaults := fmt.Sprintf("processes = { min = 0, max = 5 }\ninactivity_timeout = %q", c.inactivity)
		if err := b.wakeEach(ctx, p, defaults, c.repeats, c.state, &took); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		took.show(t)
	}
	return nil
}

func (b *bench) wakeEach(ctx context.Context, p *project, defaults string, repeats int, asleep func(status.Site) bool, took *times) error {
	sites := djangoSites(1, 0)
	m, err := b.startMultisite(ctx, sitesTOML(p, sites, defaults), sites)
	if err != nil {
		return err
	}
	defer m.end()
	hello := load{addr: m.addr, host: sites[0].host, pages: sites[0].pages[:1], connections: 1, requests: 1}
	for i := range repeats {
		b.say("%s: %d of %d", took.what, i+1, repeats)
		if err := m.await(ctx, asleep); err != nil {
			return err
		}
		got := hello.run(ctx)
		if got.bad > 0 || got.good == 0 {
			return fmt.Errorf("a wrong answer: %s", got.why)
		}
		took.add(got.times[0])
	}
	return nil
}

// await returns when state reports true for the only site.
func (m *multisite) await(ctx context.Context, state func(status.Site) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := m.client.Status(ctx)
		if err != nil {
			return err
		}
		if state(st.Sites[0]) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the site is still %s: %w", st.Sites[0].State, context.Cause(ctx))
		}
	}
}
