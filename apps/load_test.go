package apps_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps"
	"github.com/multisite/multisite/apps/tomlfile"
)

func TestCheck_FindsNeedsThatAreNotMet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, settings, want string }{
		{"fine", ``, ""},
		{"a needed app", "installed_apps = [\"sites\", \"sessions\", \"auth\", \"blog\"]\nroot_urlconf = {\"/\" = \"blog\"}", `lacks "messages", which every site needs`},
		{"an app without pages", `root_urlconf = {"/" = "sessions"}`, `the app "sessions" has no pages`},
		{"a needed path", `root_urlconf = {"/" = "admin"}`, `lacks a path for "auth", which "admin" needs`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "site.toml")
			if err := os.WriteFile(file, []byte("extends = \"builtin:subdomain1.toml\"\ndatabase = \"a.db\"\n"+test.settings+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := apps.Check(file)
			var problems tomlfile.Problems
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v", err)
			case test.want != "" && (!errors.As(err, &problems) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			}
			if made, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(made) != 1 {
				t.Errorf("checking made %v, %v", made, err)
			}
			if code, out := manageFile(t, file, "", "nothing"); code != 2 {
				t.Errorf("manage: got exit code %d: %s", code, out)
			}
		})
	}
}
