package supervisor

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/proxy"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wsgi"
)

// newLogs returns logs in a directory of the test.
func newLogs(t *testing.T) *logs.Logs {
	t.Helper()
	l, err := logs.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// sitesWithoutWorkers returns a supervisor of which only the front door works.
func sitesWithoutWorkers(t *testing.T, configs ...*config.Site) *Supervisor {
	t.Helper()
	s := &Supervisor{logs: newLogs(t), proxy: proxy.New(proxy.Options{}), cfg: &config.Config{}, certs: certs.New(certs.Options{Log: slog.New(slog.DiscardHandler)})}
	for _, c := range configs {
		access := s.logs.Access(c.Name)
		t.Cleanup(access.Close)
		s.sites.sites = append(s.sites.sites, &site{
			name: c.Name, cfg: c, super: s, stats: &front.Stats{}, log: siteLog{Logger: slog.New(slog.DiscardHandler)}, access: access,
			pool: pool.New(pool.Options{Site: c.Name, Launcher: &generation{}}),
		})
	}
	return s
}

// TestPublish_TheLastTableIsTheNewest: two sites learn at the same time where their static
// files are, as when their first workers become ready.
func TestPublish_TheLastTableIsTheNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte("a{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	static := []wsgi.Static{{URL: "/static/", Dirs: []string{dir}}}
	for range 200 {
		s := sitesWithoutWorkers(t, &config.Site{Name: "blog", ServerName: "blog"}, &config.Site{Name: "shop", ServerName: "shop"})
		var wg sync.WaitGroup
		for _, site := range s.sites.all() {
			wg.Go(func() { site.setStatic(static) })
		}
		wg.Wait()
		for _, site := range s.sites.all() {
			w := httptest.NewRecorder()
			s.proxy.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+site.name+"/static/a.css", nil))
			if w.Code != http.StatusOK {
				t.Fatalf("%s: status %d: its static files are forgotten", site.name, w.Code)
			}
		}
	}
}

func TestStaticRoutes_WhatSitesTOMLNamesComesFirst(t *testing.T) {
	t.Parallel()
	s := sitesWithoutWorkers(t, &config.Site{
		Name: "blog", ServerName: "blog", Mount: "/sub",
		Static: map[string]string{"/media/": "/srv/media", "/media/big/": "/srv/big", "/static/": "/srv/static"},
	})
	s.sites.sites[0].setStatic([]wsgi.Static{
		{URL: "/sub/static/", Dirs: []string{"/django/static"}}, // sites.toml knows better
		{URL: "/sub/other/", Dirs: []string{"/django/other"}},
		{URL: "/sub/none/"},
	})
	want := []front.Static{
		{Prefix: "/sub/static/", Dirs: []string{"/srv/static"}, Only: true},
		{Prefix: "/sub/media/big/", Dirs: []string{"/srv/big"}, Only: true},
		{Prefix: "/sub/media/", Dirs: []string{"/srv/media"}, Only: true},
		{Prefix: "/sub/other/", Dirs: []string{"/django/other"}},
	}
	equal := func(a, b front.Static) bool {
		return a.Prefix == b.Prefix && a.Only == b.Only && slices.Equal(a.Dirs, b.Dirs)
	}
	if got := s.sites.sites[0].staticRoutes(); !slices.EqualFunc(got, want, equal) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestHostsOf(t *testing.T) {
	t.Parallel()
	got := hostsOf(&config.Site{ServerName: "blog.example.com", Aliases: []string{"*.blog.example.com", "[::1]"}})
	if want := []string{"blog.example.com", "*.blog.example.com", "[::1]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := hostsOf(&config.Site{Default: true}); len(got) != 0 {
		t.Errorf("a site without a name has %q", got)
	}
}

// TestRoll_LaunchesWithTheNewSettings: a worker of the new generation may be launched
// while the new settings are being applied. It must not get the old ones.
func TestRoll_LaunchesWithTheNewSettings(t *testing.T) {
	t.Parallel()
	before, after := &config.Site{Name: "blog"}, &config.Site{Name: "blog"}
	s := sitesWithoutWorkers(t, before)
	blog := s.sites.all()[0]
	blog.rolling, blog.tasks = make(chan struct{}, 1), newTasks(blog, before)
	blog.current = &generation{cfg: before, sockets: t.TempDir()}
	next := &generation{cfg: after, noTrial: true}
	called := false
	err := blog.roll(t.Context(), next, pool.ReasonReload, func() {
		called = true
		if blog.configOf(next) != after {
			t.Error("the new generation is launched with the old settings")
		}
		blog.setConfig(after)
	})
	if err != nil || !called || blog.current != next {
		t.Errorf("%v, called: %v", err, called)
	}
}
