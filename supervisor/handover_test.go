package supervisor

import (
	"testing"

	"github.com/multisite/multisite/supervisor/config"
)

// TestOtherThan: only what new workers would heed, and both sides know, counts.
func TestOtherThan(t *testing.T) {
	t.Parallel()
	base := config.Site{Name: "shop", Kind: config.WSGI, Threads: 1, Env: map[string]string{"A": "1"}}
	for _, test := range []struct {
		name, want string
		change     func(*config.Site)
	}{
		{"nothing", "", func(*config.Site) {}},
		{"a live key", "", func(c *config.Site) { c.ServerName, c.Processes = "shop.example.com", config.Range{Min: 2, Max: 3} }},
		{"environment", "env", func(c *config.Site) { c.Env = map[string]string{"A": "2"} }},
		{"threads", "threads", func(c *config.Site) { c.Threads = 2 }},
		{"settings", "settings", func(c *config.Site) { c.Settings = "shop.settings" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := base
			test.change(&now)
			if got := otherThan(base.LaunchValues(), now.LaunchValues()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	goSite := base
	goSite.Kind = config.App
	left, more := goSite.LaunchValues(), goSite
	more.Threads = 2
	if got := otherThan(left, more.LaunchValues()); got != "" {
		t.Errorf("threads of a Go site, which its program is not told: %q", got)
	}
	older := base.LaunchValues()
	delete(older, "threads")
	if got := otherThan(older, base.LaunchValues()); got != "" {
		t.Errorf("a key that the older version did not know: %q", got)
	}
}
