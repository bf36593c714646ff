package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/worker/account"
)

func TestReload_WhatAChangeDoes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*config.Site) // of a Python site, or of a Go site where its name says so
		what   []string
		roll   string
	}{
		{"nothing", func(*config.Site) {}, nil, ""},
		{"its place in the file", func(c *config.Site) { c.Position.Line = 7 }, nil, ""},
		{"names", func(c *config.Site) { c.ServerName, c.Aliases = "b", []string{"c"} }, []string{"server_name", "server_alias"}, ""},
		{"names of an Apps site, which are told to its workers", func(c *config.Site) { c.ServerName = "b" }, nil, "server_name changed"},
		{"a limit", func(c *config.Site) { c.RequestTimeout = time.Second }, []string{"request_timeout"}, ""},
		{"limits of a worker", func(c *config.Site) { c.MaximumRequests, c.MemoryLimitHard = 7, 8 }, []string{"maximum_requests", "memory_limit_hard"}, ""},
		{"tasks of its user", func(c *config.Site) { c.TasksLimit = 60 }, []string{"tasks_limit"}, ""},
		{"the stack of threads", func(c *config.Site) { c.StackSize = 7 }, nil, "stack_size changed"},
		{"processes", func(c *config.Site) { c.Processes.Max = 9 }, []string{"processes"}, ""},
		{"settings", func(c *config.Site) { c.Settings = "other" }, nil, "settings changed"},
		{"the environment", func(c *config.Site) { c.Env = map[string]string{"A": "b"} }, nil, "env changed"},
		{"an interpreter", func(c *config.Site) { c.Python = "/bin/python3.9" }, nil, "python_home changed"},
		{"threads", func(c *config.Site) { c.Threads = 2 }, nil, "threads changed"},
		{"threads of a Go site", func(c *config.Site) { c.Threads = 2 }, []string{"threads"}, ""},
		{"a Go site that becomes a Python site", func(c *config.Site) { c.Kind, c.Threads = config.WSGI, 2 }, nil, "threads changed"},
		{"static files", func(c *config.Site) { c.Static = map[string]string{"/media/": "/srv"} }, []string{"static"}, ""},
		{"no static files", func(c *config.Site) { c.NoStatic = true }, []string{"static"}, ""},
		{"how long a start may take", func(c *config.Site) { c.StartupTimeout = time.Second }, []string{"startup_timeout"}, ""},
		{"a user", func(c *config.Site) { c.Account = &account.Account{Name: "www", UID: 33} }, nil, "user or group changed"},
		{"a home", func(c *config.Site) { c.Home = "/srv" }, nil, "home changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := &config.Site{Name: "blog", ServerName: "blog", Kind: config.WSGI}
			if strings.Contains(tt.name, "Go site") {
				old.Kind = config.App
			}
			if strings.Contains(tt.name, "Apps site") {
				old.Kind = config.Apps
			}
			s := sitesWithoutWorkers(t, old)
			s.sites.sites[0].current = &generation{cfg: old, code: s.lookAtCode().Tree(placesOf(old))}
			now := *old
			tt.change(&now)
			got := compareSite(s.sites.sites[0], &now, s.lookAtCode())
			slices.Sort(got.what)
			slices.Sort(tt.what)
			if !slices.Equal(got.what, tt.what) || got.roll != tt.roll {
				t.Errorf("changes %q, new workers because %q; want %q and %q", got.what, got.roll, tt.what, tt.roll)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
