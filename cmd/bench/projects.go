package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// projectsFlags are the flags of `bench projects`.
type projectsFlags struct {
	requests int
	only     []string
	settle   bool
}

func (b *bench) projectsCommand() *cobra.Command {
	f := &projectsFlags{}
	cmd := b.command("projects", "What published projects hold, two sites of five workers, beside the peers",
		func(ctx context.Context, r *report) error { return b.projects(ctx, r, f) })
	cmd.Flags().IntVar(&f.requests, "requests", 2000, "mixed requests, half of them to each site; pretix gets a quarter")
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "only these projects: article, wagtail, djangocms, pretix, flask, pandas")
	cmd.Flags().BoolVar(&f.settle, "settle", false, "multisite once more, after it has replaced its workers by itself; waits for a quiet minute")
	return cmd
}

func (b *bench) projects(ctx context.Context, r *report, f *projectsFlags) error {
	if err := b.forgetPages(); err != nil {
		return err
	}
	if b.quick {
		f.requests = min(f.requests, 200)
	}
	r.note("MB are 10^6 bytes of PSS of all processes, front door included. Default settings, but preload = false in one row. "+
		"Requests through the front door, %d in all, one connection for each worker; requests/s and p99 are those of the second half.", f.requests)
	r.note("Same bodies: pages whose answer is that of gunicorn, apart from tokens.")
	for _, python := range b.allPythons() {
		var t *table
		for _, k := range allPublished() {
			if len(f.only) > 0 && !slices.Contains(f.only, k.name) {
				continue
			}
			in, err := b.install(ctx, k, python)
			if err != nil {
				r.note("%s was not measured: %v", k.name, err)
				continue
			}
			if t == nil {
				version, _ := pythonVersion(ctx, python) // install has asked, too
				t = r.table("Projects, Python "+version, "project, server", "whole tree, MB", "of unshared",
					"of gunicorn", "front door, MB", "USS of a worker, MB", "requests/s", "p99, ms", "same bodies", "wrong answers", "how")
			}
			if err := b.projectRows(ctx, r, t, in, f); err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
		}
	}
	return nil
}

// tried is one contender with a project.
type tried struct {
	contender
	weight
	perSecond, p99 figure
	bodies         map[string]string
	version        string
	settled        bool // measured after it has adapted to its visitors, and as many requests again
}

// projectRows measures all contenders with a project, and adds a row for each.
func (b *bench) projectRows(ctx context.Context, r *report, t *table, in *installed, f *projectsFlags) error {
	requests := in.requests(f.requests / 2)
	all := []*tried{
		{contender: defaultContender("nginx + gunicorn --preload", startGunicorn)},
		{contender: projectContender("multisite", "")},
		{contender: projectContender("multisite, preload = false", "preload = false")},
		{contender: defaultContender("nginx + uWSGI", startUWSGI)},
	}
	if f.settle {
		all = append(all, &tried{contender: projectContender("multisite, settled", ""), settled: true})
	}
	for range b.roundsOr(1) {
		for _, c := range all {
			if err := b.try(ctx, c, in, requests); err != nil {
				if ctx.Err() != nil {
					return err
				}
				r.note("%s was not measured with %s: %v", c.name, in.name, err)
			}
		}
	}
	gunicorn, unshared := all[0], all[2]
	for _, c := range all {
		t.row(c.version+", "+c.name, c.all, ratio(c.all.median(), unshared.all.median()), ratio(c.all.median(), gunicorn.all.median()),
			c.front, c.worker, c.perSecond, c.p99, sameBodies(c.bodies, gunicorn.bodies), c.bad, c.remark)
	}
	return nil
}

func defaultContender(name string, start func(context.Context, *bench, *project, []site) (*server, error)) contender {
	return contender{name: name, start: start}
}

// projectContender is multisite with nothing in its sites.toml that a new user would not
// write, and more lines in [defaults]. Only startup_timeout is longer: on a busy machine ten
// workers that load pretix themselves do not start in 30 s.
func projectContender(name, defaults string) contender {
	return contender{name: name, start: func(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
		var t strings.Builder
		fmt.Fprintf(&t, "listen = \"127.0.0.1:0\"\n[defaults]\npython_path = [%q]\npython_home = %q\nstartup_timeout = \"10m\"\n%s\n", p.dir, p.python, defaults)
		for _, variable := range p.env {
			key, value, _ := strings.Cut(variable, "=")
			fmt.Fprintf(&t, "env.%s = %q\n", key, value)
		}
		for _, s := range sites {
			fmt.Fprintf(&t, "[site.%s]\nserver_name = %q\nprocesses = %d\n", s.name, s.host, s.processes)
			if s.settings != "" {
				fmt.Fprintf(&t, "settings = %q\n", s.settings)
			} else {
				fmt.Fprintf(&t, "wsgi = %q\n", s.entry)
			}
		}
		m, err := b.startMultisite(ctx, t.String(), sites)
		if err != nil {
			return nil, err
		}
		m.name = name
		if m.remark, err = m.sharing(ctx); err != nil {
			m.end()
			return nil, err
		}
		return &m.server, nil
	}}
}

// try starts a contender, sends it requests, and adds what it then holds.
func (b *bench) try(ctx context.Context, c *tried, in *installed, requests int) error {
	p, err := b.copyOf(ctx, in)
	if err != nil {
		return err
	}
	c.version = strings.TrimPrefix(p.version[strings.Index(p.version, ", ")+1:], " ")
	b.say("%s: %s", p.version, c.name)
	if in.redis {
		stop, err := startRedis(strings.TrimPrefix(p.env[0], "BENCH_DATA="))
		if err != nil {
			return err
		}
		defer stop()
	}
	sites := in.sites(5)
	server, err := c.start(ctx, b, p, sites)
	if err != nil {
		return err
	}
	defer server.stop()
	c.remark = server.remark
	c.driveHalves(ctx, server, sites, requests/2)
	if c.settled {
		if err := server.settle(ctx); err != nil {
			return err
		}
		c.remark = server.remark
		c.driveHalves(ctx, server, sites, requests/2)
	}
	if err := server.weigh(ctx, &c.weight); err != nil {
		return err
	}
	c.bodies = bodiesOf(ctx, server, sites)
	return ctx.Err()
}

// driveHalves sends each site n requests twice, and measures the second time.
func (c *tried) driveHalves(ctx context.Context, s *server, sites []site, n int) {
	first, _ := driveSites(ctx, s, sites, n)
	second, took := driveSites(ctx, s, sites, n)
	c.bad += first.bad + second.bad
	if c.remark == "" {
		c.remark = first.why + second.why
	}
	c.perSecond.add(float64(second.good) / took.Seconds())
	c.p99.digits = 1
	c.p99.add(quantile(milliseconds(second.times), 0.99))
}

// driveSites sends each site n requests, all sites at the same time.
func driveSites(ctx context.Context, s *server, sites []site, n int) (sum loaded, took time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := time.Now()
	for _, site := range sites {
		wg.Go(func() {
			got := load{addr: s.addr, host: site.host, pages: site.pages, connections: site.processes, requests: n}.run(ctx)
			mu.Lock()
			defer mu.Unlock()
			sum.add(got)
		})
	}
	wg.Wait()
	return sum, time.Since(begin)
}

// startRedis starts a Redis on redis.sock in a directory.
func startRedis(dir string) (stop func(), err error) {
	var c children
	if err := c.start(dir, nil, "redis-server", "--port", "0", "--unixsocket", filepath.Join(dir, "redis.sock"), "--save", ""); err != nil {
		return nil, fmt.Errorf("redis-server is not installed: %w", err)
	}
	for end := time.Now().Add(grace); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(dir, "redis.sock")); len(found) > 0 {
			return c.end, nil
		}
	}
	c.end()
	return nil, errors.New("redis-server does not listen")
}

// token matches what differs in each answer: tokens and nonces.
var token = regexp.MustCompile(`[A-Za-z0-9_-]{16,64}"|nonce="[^"]*"`)

// bodiesOf returns the answer to each page, without tokens.
func bodiesOf(ctx context.Context, s *server, sites []site) map[string]string {
	bodies := map[string]string{}
	for _, site := range sites {
		c := &client{load: load{addr: s.addr, host: site.host}}
		for _, p := range site.pages {
			if err := c.exchange(ctx, p); err != nil {
				bodies[site.host+p.path] = err.Error()
				continue
			}
			bodies[site.host+p.path] = token.ReplaceAllString(c.body.String(), `"`)
		}
		c.close()
	}
	return bodies
}

// sameBodies returns how many bodies are those of another contender, and the first that
// is not.
func sameBodies(got, want map[string]string) string {
	var same int
	var other string
	for path, body := range got {
		if body == want[path] {
			same++
		} else if other == "" || path < other {
			other = path
		}
	}
	if same == len(got) {
		return fmt.Sprintf("%d of %d", same, len(got))
	}
	return fmt.Sprintf("%d of %d, not %s", same, len(got), other)
}
