package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// memoryFlags are the flags of `bench memory`.
type memoryFlags struct {
	requests int
	decay    bool
}

func (b *bench) memoryCommand() *cobra.Command {
	f := &memoryFlags{}
	cmd := b.command("memory", "What N processes hold, shared and unshared, beside the peers",
		func(ctx context.Context, r *report) error { return b.memory(ctx, r, f) })
	cmd.Flags().IntVar(&f.requests, "requests", 2000, "mixed requests for each worker of 2 × 5; the other sizes get a tenth")
	cmd.Flags().BoolVar(&f.decay, "decay", false, "only: what workers hold after 20, 200, 2,000 and 20,000 requests each")
	return cmd
}

// shape is a number of sites and of workers for each.
type shape struct{ sites, processes, requests int }

func (s shape) String() string {
	return fmt.Sprintf("%d × %d, %d requests each", s.sites, s.processes, s.requests)
}

func (b *bench) shapes(f *memoryFlags) []shape {
	n := f.requests
	if b.quick {
		n = min(n, 200)
	}
	small := max(n/10, 20)
	shapes := []shape{{2, 5, n}, {10, 1, small}, {1, 1, small}}
	if !b.quick {
		shapes = append(shapes, shape{2, 25, small})
	}
	return shapes
}

// The two ways to run the same workers.
var (
	shared   = multisiteContender("multisite", `preload = "auto"`)
	unshared = multisiteContender("multisite, preload = false", "preload = false")
)

func (b *bench) memory(ctx context.Context, r *report, f *memoryFlags) error {
	if err := b.forgetPages(); err != nil {
		return err
	}
	r.note("MB are 10^6 bytes. PSS of all processes but the front door, zygotes included; the front door beside it. " +
		"Requests through the front door: half of them hello, four in ten a page with a query, one in ten the admin's login form.")
	for _, python := range b.allPythons() {
		p, err := b.newProject(ctx, python)
		if err != nil {
			return err
		}
		if f.decay {
			err = b.decay(ctx, r, p)
		} else {
			err = errors.Join(b.sharing(ctx, r, p, f), b.besidePeers(ctx, r, p, f))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetPages writes multisite to disk and drops its pages from the page cache, as after a
// boot. Where a file has just been written they are huge, and Linux 6.18 maps all of a huge
// page at once: the front door would have 8 MB more.
func (b *bench) forgetPages() error {
	f, err := os.Open(b.binary)
	if err != nil {
		return err
	}
	defer f.Close()
	return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}

// sharing compares each shape with and without sharing.
func (b *bench) sharing(ctx context.Context, r *report, p *project, f *memoryFlags) error {
	t := r.table("Memory, "+p.version, "sites × workers", "shared, MB", "unshared, MB", "ratio",
		"USS of a worker, MB", "unshared, MB", "processes", "front door, MB", "how", "wrong answers")
	for _, s := range b.shapes(f) {
		var with, without weight
		for range b.roundsOr(1) {
			for _, c := range []struct {
				contender
				sum *weight
			}{{shared, &with}, {unshared, &without}} {
				if err := b.weigh(ctx, c.contender, p, s, c.sum); err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, s, err)
				}
			}
		}
		t.row(s, with.apps, without.apps, ratio(with.apps.median(), without.apps.median()), with.worker, without.worker,
			fmt.Sprintf("%d / %d", with.processes, without.processes), with.front, with.remark, with.bad+without.bad)
	}
	return nil
}

// besidePeers compares two sites × five workers with every peer, front door included.
func (b *bench) besidePeers(ctx context.Context, r *report, p *project, f *memoryFlags) error {
	size := b.shapes(f)[0]
	contenders := append([]contender{shared}, b.installed(ctx, r, p, pythonPeers())...)
	sums := make([]weight, len(contenders))
	for range b.roundsOr(1) {
		for i, c := range contenders {
			if err := b.weigh(ctx, c, p, size, &sums[i]); err != nil {
				r.note("%s was not measured: %v", c.name, err)
			}
		}
	}
	t := r.table(fmt.Sprintf("Memory beside peers, %s, %s", size, p.version), "server", "whole tree, MB", "multisite beside it",
		"of it the front door, MB", "USS of a worker, MB", "processes", "Python", "wrong answers")
	for i, c := range contenders {
		w := sums[i]
		t.row(c.name, w.all, ratio(sums[0].all.median(), w.all.median()), w.front, w.worker, w.processes, w.python, w.bad)
	}
	return nil
}

// weight is the memory of a server, in each round.
type weight struct {
	front, apps, all figure // MB of PSS
	worker           figure // MB of USS, median of the workers
	processes, bad   int
	python           string // version that the sites run on
	remark           string
}

// weigh starts a server, sends requests, and adds the memory that it then holds to sum.
func (b *bench) weigh(ctx context.Context, c contender, p *project, s shape, sum *weight) error {
	b.say("%s: %s", c.name, s)
	sites := djangoSites(s.sites, s.processes)
	server, err := c.start(ctx, b, p, sites)
	if err != nil {
		return err
	}
	defer server.stop()
	sum.remark = server.remark
	sum.python = whoRuns(ctx, server, sites)
	sum.bad += b.exercise(ctx, server, sites, s.requests)
	return server.weigh(ctx, sum)
}

// exercise sends each worker about n mixed requests, over as many connections as there are
// workers, which keeps all of them busy. It returns the number of wrong answers.
func (b *bench) exercise(ctx context.Context, s *server, sites []site, n int) (bad int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, site := range sites {
		wg.Go(func() {
			got := load{addr: s.addr, host: site.host, pages: site.pages, connections: site.processes, requests: n * site.processes}.run(ctx)
			mu.Lock()
			defer mu.Unlock()
			bad += got.bad
			if got.why != "" {
				b.say("%s: %s", s.name, got.why)
			}
		})
	}
	wg.Wait()
	return bad
}

// weigh adds the memory that the server holds now.
func (s *server) weigh(ctx context.Context, sum *weight) error {
	front, apps, err := s.split()
	if err != nil {
		return err
	}
	frontMemory, err := memoryOf(front)
	if err != nil {
		return err
	}
	appsMemory, err := memoryOf(apps)
	if err != nil {
		return err
	}
	uss, err := s.workerUSS(ctx)
	if err != nil {
		return err
	}
	sum.front.addBytes(frontMemory.PSS)
	sum.apps.addBytes(appsMemory.PSS)
	sum.all.addBytes(frontMemory.PSS + appsMemory.PSS)
	sum.worker.addBytes(int64(median(uss)))
	sum.processes = len(front) + len(apps)
	return ctx.Err()
}

// workerUSS returns the private memory of each worker, in bytes.
func (s *server) workerUSS(ctx context.Context) ([]float64, error) {
	pids, err := s.workers(ctx)
	if err != nil {
		return nil, err
	}
	var uss []float64
	for _, pid := range pids {
		m, err := process.ReadMemory(pid)
		if err != nil {
			return nil, err
		}
		uss = append(uss, float64(m.USS))
	}
	return uss, nil
}

// decay shows how the memory of workers grows with their age.
func (b *bench) decay(ctx context.Context, r *report, p *project) error {
	t := r.table("No decay: 2 × 5, "+p.version, "requests for each worker", "USS of a worker, MB", "all but the front door, MB", "wrong answers")
	sites := djangoSites(2, 5)
	server, err := shared.start(ctx, b, p, sites)
	if err != nil {
		return err
	}
	defer server.stop()
	steps, done := []int{20, 200, 2000, 20000}, 0
	if b.quick {
		steps = steps[:3]
	}
	for _, n := range steps {
		b.say("%s: %d requests for each worker", server.name, n)
		var w weight
		w.bad = b.exercise(ctx, server, sites, n-done)
		done = n
		if err := server.weigh(ctx, &w); err != nil {
			return err
		}
		t.row(n, w.worker, w.apps, w.bad)
	}
	return nil
}
