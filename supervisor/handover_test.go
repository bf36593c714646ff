package supervisor

import (
	"os"
	"path/filepath"
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

// TestTreeOf: code that was summed by another process is told from what has changed.
func TestTreeOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "urls.py")
	if err := os.WriteFile(file, []byte("a = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &config.Site{Kind: config.WSGI, Python: "/usr/bin/python3", Home: dir}
	look := func() codeTree { return (&codeLook{found: map[place]*codePart{}}).tree(c) }
	left := treeOf(look().sums())
	if !look().equal(left) || !left.equal(look()) {
		t.Error("the same code is not equal to its sum")
	}
	if err := os.WriteFile(file, []byte("a = 1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if look().equal(left) {
		t.Error("code that has changed is equal to the sum of before")
	}
}
