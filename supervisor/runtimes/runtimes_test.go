package runtimes

import (
	"slices"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
)

// planOf returns the plan of a site whose limits may change.
func planOf(c *config.Site) Plan {
	return Plan{
		Site: c, Now: func() *config.Site { return c }, At: func(path string) string { return "/real" + path },
		Sockets: "/run/shop.1", StateDir: "/state", CodeDir: "/state/python", Program: "/bin/multisite",
		Names: []string{"shop.example.com", "*.shop.example.com"}, Mark: "MULTISITE_LOCK=1:2",
	}
}

func TestPlan_WSGI(t *testing.T) {
	t.Parallel()
	c := &config.Site{Name: "shop", Kind: config.WSGI, Python: "/venv/bin/python", WSGI: "shop.wsgi", Threads: 3, Processes: config.Range{Min: 1, Max: 5}, Aliases: []string{"*.x", "b.example.com"}}
	o := planOf(c).WSGI()
	if o.Site != "shop" || o.Entry != "shop.wsgi" || o.Threads != 3 || o.Processes != 5 || o.SocketDir != "/run/shop.1" || o.CodeDir != "/state/python" {
		t.Errorf("got %+v", o)
	}
	if !slices.Contains(o.Env, "MULTISITE_LOCK=1:2") {
		t.Errorf("the environment %q has no mark", o.Env)
	}
	if o.Host != "b.example.com" {
		t.Errorf("warm-up requests are for %q, want a name that is no wildcard", o.Host)
	}
	c.TasksLimit = 7
	if got := o.Tasks(); got != 7 {
		t.Errorf("tasks %d, want those of now", got)
	}
	if got := warmupHost(&config.Site{ServerName: "*.x"}); got != "localhost" {
		t.Errorf("a site of wildcards alone: %q", got)
	}
}

func TestPlan_Go(t *testing.T) {
	t.Parallel()
	o := planOf(&config.Site{Name: "shop", Kind: config.App, App: "/srv/app", Home: "/srv"}).Go()
	if o.Path != "/srv/app" || o.Dir != "/srv" || o.Args != nil || o.At("/srv") != "/real/srv" {
		t.Errorf("a program of its own: %+v", o)
	}
	o = planOf(&config.Site{Name: "shop", Kind: config.Apps, Settings: "/srv/site.toml"}).Go()
	want := []string{"worker", "--settings", "/real/srv/site.toml", "--state-dir", "/state", "--host", "shop.example.com", "--host", ".shop.example.com"}
	if got := o.Args(); o.Path != "/bin/multisite" || !slices.Equal(got, want) {
		t.Errorf("built-in apps: %s %q, want %q", o.Path, got, want)
	}
}

func TestTricks(t *testing.T) {
	t.Parallel()
	all := config.Preload{GCFreeze: true, SealHeap: true, RelocateCode: true, Immortal: "auto"}
	for _, tt := range []struct {
		name    string
		preload config.Preload
		min     int
		want    []string
	}{
		{"none", config.Preload{Immortal: "off"}, 1, nil},
		{"all", all, 1, []string{"gc", "freeze", "seal", "relocate", "immortal-auto"}},
		{"a site that may sleep", all, 0, []string{"gc", "freeze", "seal", "relocate"}},
		{"immortal in any case", config.Preload{Immortal: "on"}, 0, []string{"immortal"}},
	} {
		if got := tricks(&config.Site{Preload: tt.preload, Processes: config.Range{Min: tt.min, Max: 2}}, false); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
