package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEntry_EverySpelling names a site's application in every possible way.
func TestEntry_EverySpelling(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(django(t), "subdomain1.wsgi"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "entry.any-extension")
	if err := os.WriteFile(copied, script, 0o600); err != nil {
		t.Fatal(err)
	}
	spellings := []struct{ name, entry, want string }{
		{"script", `wsgi = "subdomain1.wsgi"`, `"settings": "subdomain1_settings"`},
		{"path", fmt.Sprintf("wsgi = %q", copied), `"settings": "subdomain1_settings"`},
		{"script-and-settings", "wsgi = \"subdomain2.wsgi\"\nsettings = \"subdomain2_settings\"", `"settings": "subdomain2_settings"`},
		{"callable-and-settings", "wsgi = \"wsgi:application\"\nsettings = \"subdomain2_settings\"", `"settings": "subdomain2_settings"`},
		{"settings", `settings = "subdomain2_settings"`, `"settings": "subdomain2_settings"`},
		{"plain-wsgi", `wsgi = "bare:application"`, "Hello, world!\n"},
	}
	var sites strings.Builder
	sites.WriteString(pythonSites + "processes = 1\n")
	for _, s := range spellings {
		fmt.Fprintf(&sites, "[site.%s]\nserver_name = \"%s.example.com\"\n%s\n", s.name, s.name, s.entry)
	}
	r := up(t, sites.String())
	for _, s := range spellings {
		t.Run(s.name, func(t *testing.T) {
			if a := r.in(t).get(s.name+".example.com", "/whoami/"); a.status != 200 || !strings.Contains(a.body, s.want) {
				t.Errorf("status %d, want %q in:\n%s", a.status, s.want, a.body)
			}
		})
	}
}
