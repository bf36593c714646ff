package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// workersPerSite is how many of the workers each site has.
const workersPerSite = 20

// manyWorkers keeps all workers of several sites busy at once.
func (b *bench) manyWorkers(ctx context.Context, r *report, p *project, n int) error {
	b.say("%d workers", n)
	sites := djangoSites(n/workersPerSite, workersPerSite)
	m, err := b.startMultisite(ctx, sitesTOML(p, sites, ""), sites)
	if err != nil {
		return err
	}
	defer m.end()
	begin := time.Now()
	const each = 50
	var w weight
	w.bad = b.exercise(ctx, &m.server, sites, each)
	took := time.Since(begin)
	if err := m.weigh(ctx, &w); err != nil {
		return err
	}
	var status figure
	if _, err := m.time(ctx, &status, "status", "--json"); err != nil {
		return err
	}
	t := r.table("Active workers", "sites × workers", "up -d, ms", "status, ms", "mixed requests/s", "all but the supervisor, MB", "USS of a worker, MB",
		"supervisor, MB", "wrong answers")
	t.row(fmt.Sprintf("%d × %d", len(sites), workersPerSite), m.up.Milliseconds(), status,
		figure{rounds: []float64{float64(n*each) / took.Seconds()}}, w.apps, w.worker, w.front, w.bad)
	return nil
}

// manyConnections opens connections that send one request each and then stay open.
func (b *bench) manyConnections(ctx context.Context, r *report, p *project, n int) error {
	b.say("%d connections", n)
	s := bareSite(2)
	m, err := b.startMultisite(ctx, sitesTOML(p, []site{s}, ""), []site{s})
	if err != nil {
		return err
	}
	defer m.end()
	t := r.table("Keep-alive connections", "open", "supervisor, MB", "for each, KB", "requests/s over 16 more", "p99, ms", "wrong answers")
	var empty, full weight
	for _, step := range []struct {
		open int
		w    *weight
	}{{0, &empty}, {n, &full}} {
		idle := openIdle(ctx, m.addr, s, step.open)
		err := m.weigh(ctx, step.w)
		if err == nil {
			err = b.rowOf(ctx, t, m, s, idle, empty, *step.w)
		}
		idle.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) rowOf(ctx context.Context, t *table, m *multisite, s site, idle *idleConnections, empty, w weight) error {
	got, err := drive(ctx, m.addr, s.host, exact("", "", s.pages[0], 0).request, busyConnections, b.lapTime())
	if err != nil {
		return err
	}
	each := "–"
	if n := len(idle.clients); n > 0 {
		each = fmt.Sprintf("%.1f", (w.front.median()-empty.front.median())*1000/float64(n))
	}
	t.row(len(idle.clients), w.front, each, figure{rounds: []float64{got.perSecond}},
		figure{rounds: []float64{got.p99}, digits: 1}, idle.bad+got.bad)
	return nil
}

// idleConnections are open connections without requests.
type idleConnections struct {
	mu sync.Mutex
	// mu protects the fields below
	clients []net.Conn
	bad     int
}

// openIdle opens n connections, a few at a time, and sends one request on each.
func openIdle(ctx context.Context, addr string, s site, n int) *idleConnections {
	all := &idleConnections{}
	slots := make(chan struct{}, 32)
	var wg sync.WaitGroup
	for range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c := &client{load: load{addr: addr, host: s.host}}
			err := c.exchange(ctx, s.pages[0])
			all.mu.Lock()
			defer all.mu.Unlock()
			if err != nil {
				all.bad++
				c.close()
				return
			}
			all.clients = append(all.clients, c.conn)
		})
	}
	wg.Wait()
	return all
}

func (i *idleConnections) close() {
	for _, c := range i.clients {
		c.Close()
	}
}
