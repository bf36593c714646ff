package settings

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/multisite/multisite/apps/tomlfile"
)

var options = Options{Apps: []string{"admin", "auth", "blog", "polls"}, StateDir: "/state"}

// write puts files into a directory and returns it. A line "-- name --"
// begins a file.
func write(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for part := range strings.SplitSeq(text, "\n-- ") {
		name, body, found := strings.Cut(strings.TrimPrefix(part, "-- "), " --\n")
		if !found {
			t.Fatalf("no file name in %q", part)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const common = `-- common.toml --
installed_apps = ["auth", "blog"]
database = "db/one.db"
secret_key_file = "/keys/secret"
allowed_hosts = ["www.example.com"]
time_zone = "Europe/Berlin"
root_urlconf = "urls.toml"
-- urls.toml --
"/" = "blog"
`

func TestLoad_SiteOverridesWhatItExtends(t *testing.T) {
	t.Parallel()
	dir := write(t, common+`
-- middle.toml --
extends = "common.toml"
debug = true
allowed_hosts = ["Blog.Example.COM.", ".example.org"]
-- site.toml --
extends = "middle.toml"
site_id = 7
debug = false
[root_urlconf]
"/blog/" = "blog"
"/accounts/" = "auth"
`)
	s, err := Load(filepath.Join(dir, "site.toml"), options)
	if err != nil {
		t.Fatal(err)
	}
	if s.Zone.String() != "Europe/Berlin" {
		t.Errorf("got zone %v", s.Zone)
	}
	s.Zone = nil
	want := Settings{
		SiteID: 7, InstalledApps: []string{"auth", "blog"}, URLs: map[string]string{"/blog/": "blog", "/accounts/": "auth"},
		Database: filepath.Join(dir, "db/one.db"), SecretKeyFile: "/keys/secret", AllowedHosts: []string{"blog.example.com", ".example.org"},
		Files: []string{filepath.Join(dir, "site.toml"), filepath.Join(dir, "middle.toml"), filepath.Join(dir, "common.toml"), filepath.Join(dir, "urls.toml")},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestLoad_Builtin(t *testing.T) {
	t.Parallel()
	all := Options{Apps: []string{"sites", "sessions", "messages", "auth", "admin", "blog", "polls"}, StateDir: "/state"}
	for id, name := range []string{"builtin:subdomain1", "builtin:subdomain2.toml"} {
		s, err := Load(name, all)
		if err != nil || s.SiteID != int64(id+1) || s.Database != "/state/sites.db" || s.SecretKeyFile != "/state/secret.key" || len(s.URLs) < 3 {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
	if _, err := Load("builtin:subdomain3", all); err == nil {
		t.Error("builtin:subdomain3 was found")
	}
	dir := write(t, "-- mine.toml --\nextends = \"builtin:subdomain1.toml\"\nsite_id = 3\ndatabase = \"mine.db\"\n")
	s, err := Load(filepath.Join(dir, "mine.toml"), all)
	if err != nil || s.SiteID != 3 || s.Database != filepath.Join(dir, "mine.db") || s.SecretKeyFile != "/state/secret.key" {
		t.Errorf("extended: got %+v, %v", s, err)
	}
}

func TestLoad_ReportsEveryMistakeWithItsLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, files, want string }{
		{"mistyped", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\ndebgu = true", `site.toml:3: unknown key "debgu" (did you mean "debug"?)`},
		{"two mistakes", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = \"1\"\ndebug = 1", "site.toml:2: site_id: must be a whole number|site.toml:3: debug: must be true or false"},
		{"in the parent", "-- common.toml --\nnonsense = 1\n-- site.toml --\nextends = \"common.toml\"", `common.toml:1: unknown key "nonsense"|database: is missing|site_id: is missing|root_urlconf: is missing`},
		{"no parent", "-- site.toml --\nextends = \"nope.toml\"", "nope.toml: no such file"},
		{"circle", "-- site.toml --\nextends = \"b.toml\"\n-- b.toml --\nextends = \"site.toml\"", "b.toml:1: extends: goes in a circle: site.toml → b.toml → site.toml"},
		{"zone", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\ntime_zone = \"Berlin\"", `site.toml:3: time_zone: there is no time zone "Berlin" (name one as in "Europe/Berlin", or "UTC")`},
		{"no such app", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\ninstalled_apps = [\"auth\", \"bolg\"]", `site.toml:3: installed_apps: there is no app "bolg" (did you mean "blog"?)|urls.toml:1: "/": the app "blog" is not installed (add "blog" to installed_apps)`},
		{"twice", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\ninstalled_apps = [\"blog\", \"blog\"]", `installed_apps: names "blog" twice`},
		{"paths", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\n[root_urlconf]\n\"blog\" = \"blog\"\n\"/a/../\" = \"blog\"\n\"/{x}/\" = \"auth\"", `site.toml:4: root_urlconf.blog: is not a path|site.toml:5: root_urlconf."/a/../": is not a path|site.toml:6: root_urlconf."/{x}/": is not a path`},
		{"one app twice", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\n[root_urlconf]\n\"/\" = \"blog\"\n\"/b/\" = \"blog\"", `the app "blog" has the path "/" already`},
		{"not TOML", "-- site.toml --\nsite_id = \n", "site.toml:1: "},
		{"empty lists", common + "\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\nallowed_hosts = []\ndatabase = \"\"", "site.toml:3: allowed_hosts: must not be empty|site.toml:4: database: must name a file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, test.files)
			_, err := Load(filepath.Join(dir, "site.toml"), options)
			var problems tomlfile.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want Problems", err)
			}
			var all strings.Builder
			for _, p := range problems {
				all.WriteString(strings.ReplaceAll(p.Error(), dir+"/", "") + " (" + p.Hint + ")\n")
			}
			for want := range strings.SplitSeq(test.want, "|") {
				if !strings.Contains(all.String(), want) {
					t.Errorf("got:\n%swant %s", all.String(), want)
				}
			}
		})
	}
}

func TestLoad_WritesNothing(t *testing.T) {
	t.Parallel()
	dir := write(t, common+"\n-- site.toml --\nextends = \"common.toml\"\nsite_id = 1\nsecret_key_file = \"secret\"")
	if _, err := Load(filepath.Join(dir, "site.toml"), options); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 3 {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	s := Settings{AllowedHosts: []string{"www.example.com", ".example.org"}}
	for host, want := range map[string]bool{
		"www.example.com": true, "WWW.Example.com.:8080": true, "example.com": false, "www.example.com.evil.example": false,
		"example.org": true, "a.b.example.org": true, "badexample.org": false, "": false, "[::1]:80": false, ".example.org": true,
	} {
		if got := s.Allows(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
	if s.AllowedHosts = []string{"*"}; !s.Allows("anything") || s.Domain() != "localhost" {
		t.Error("* does not allow anything")
	}
}

func TestSecret_ProcessesAgreeOnOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "secret")
	keys := make([]string, 20)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := Secret(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = string(key)
		})
	}
	all.Wait()
	for _, key := range keys {
		if key != keys[0] || len(key) != 64 {
			t.Fatalf("got keys %q", keys)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestSecret_RefusesAWeakOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("changeme\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(path); err == nil || !strings.Contains(err.Error(), "8 characters") {
		t.Errorf("got %v", err)
	}
	if _, err := Secret(filepath.Join(path, "below")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: got %v", err)
	}
}
