package supervisor

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/worker/wsgi"
)

// sitesWithoutWorkers returns a supervisor that only its front door works of.
func sitesWithoutWorkers(t *testing.T, configs ...*config.Site) *Supervisor {
	t.Helper()
	s := &Supervisor{logs: newLogs(t, nil), proxy: proxy.New(proxy.Options{})}
	for _, c := range configs {
		access := s.logs.access(c.Name)
		t.Cleanup(access.close)
		s.sites = append(s.sites, &site{
			name: c.Name, cfg: c, super: s, stats: &proxy.Stats{}, log: slog.New(slog.DiscardHandler), access: access,
			pool: pool.New(pool.Options{Site: c.Name, Launcher: &generation{}}),
		})
	}
	return s
}

// TestPublish_TheLastWordIsTheNewest: two sites learn at once where their static
// files are, as they do when their first workers become ready.
func TestPublish_TheLastWordIsTheNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte("a{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	static := []wsgi.Static{{URL: "/static/", Dirs: []string{dir}}}
	for range 200 {
		s := sitesWithoutWorkers(t, &config.Site{Name: "blog", ServerName: "blog"}, &config.Site{Name: "shop", ServerName: "shop"})
		var wg sync.WaitGroup
		for _, site := range s.sites {
			wg.Go(func() { site.setStatic(static) })
		}
		wg.Wait()
		for _, site := range s.sites {
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
	s.sites[0].setStatic([]wsgi.Static{
		{URL: "/sub/static/", Dirs: []string{"/django/static"}}, // sites.toml knows better
		{URL: "/sub/other/", Dirs: []string{"/django/other"}},
		{URL: "/sub/none/"},
	})
	want := []proxy.Static{
		{Prefix: "/sub/static/", Dirs: []string{"/srv/static"}, Only: true},
		{Prefix: "/sub/media/big/", Dirs: []string{"/srv/big"}, Only: true},
		{Prefix: "/sub/media/", Dirs: []string{"/srv/media"}, Only: true},
		{Prefix: "/sub/other/", Dirs: []string{"/django/other"}},
	}
	equal := func(a, b proxy.Static) bool {
		return a.Prefix == b.Prefix && a.Only == b.Only && slices.Equal(a.Dirs, b.Dirs)
	}
	if got := s.sites[0].staticRoutes(); !slices.EqualFunc(got, want, equal) {
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

// TestAccessLog_HasEveryLine also when the supervisor ends at once.
func TestAccessLog_HasEveryLine(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	a := l.access("blog")
	at := time.Date(2026, 7, 4, 12, 0, 0, 0, time.UTC)
	for _, status := range []int{200, 503} {
		a.write(proxy.Entry{Client: "192.0.2.1", Line: "GET /x HTTP/1.1", Time: at, Took: 1500 * time.Microsecond, Status: status, Bytes: 7, Worker: "blog/1"})
	}
	a.close()
	b, err := os.ReadFile(filepath.Join(l.dir, "blog.access.log"))
	const line = `192.0.2.1 - - [04/Jul/2026:12:00:00 +0000] "GET /x HTTP/1.1" `
	want := line + `200 7 "-" "-" 0.0015 blog/1` + "\n" + line + `503 7 "-" "-" 0.0015 blog/1` + "\n"
	if err != nil || string(b) != want {
		t.Errorf("%v, got:\n%swant:\n%s", err, b, want)
	}
}

// TestAccessLog_HoldsNothingBetweenBlocks: of a thousand sites most are silent.
func TestAccessLog_HoldsNothingBetweenBlocks(t *testing.T) {
	t.Parallel()
	a := newLogs(t, nil).access("blog")
	if _, err := os.Stat(a.file.path); !os.IsNotExist(err) {
		t.Errorf("the file of a silent site is there: %v", err)
	}
	const lines = 1000
	for range lines {
		a.write(proxy.Entry{Client: "192.0.2.1", Line: "GET /x HTTP/1.1", Status: 200})
	}
	if info, err := os.Stat(a.file.path); err != nil || info.Size() < accessBlock {
		t.Errorf("a whole block waits in memory: %v", err)
	}
	a.close()
	if a.lines != nil {
		t.Error("the buffer is kept")
	}
	b, err := os.ReadFile(a.file.path)
	if got := strings.Count(string(b), "\n"); err != nil || got != lines {
		t.Errorf("got %d lines, %v; want %d", got, err, lines)
	}
}

func TestLogs_BoundTheirDescriptors(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	for i := range 3 * maxOpenLogs {
		for _, site := range []string{"first", fmt.Sprintf("site%d", i)} {
			l.write(site, "who", "what")
		}
	}
	if n := l.openLocked(); n > maxOpenLogs {
		t.Errorf("%d log files are open, want at most %d", n, maxOpenLogs)
	}
	b, err := os.ReadFile(l.path("first"))
	if got := strings.Count(string(b), "\n"); err != nil || got != 3*maxOpenLogs {
		t.Errorf("got %d lines, %v; want %d", got, err, 3*maxOpenLogs)
	}
}
