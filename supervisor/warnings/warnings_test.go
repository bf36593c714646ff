package warnings

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/worker/account"
)

func TestOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{
		"code/site.wsgi": 0o644, "code/open.wsgi": 0o646, "code/project/__init__.py": 0o644, "code/project/settings.py": 0o664,
		"shared/app": 0o755, "shared/app.toml": 0o600, "sticky/wsgi.py": 0o644,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"shared": 0o775, "sticky": 0o777 | os.ModeSticky} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	code := filepath.Join(dir, "code")
	shop := &account.Account{Name: "shop"}
	cfg := &config.Config{Sites: []*config.Site{
		{Name: "fine", Kind: config.WSGI, Account: shop, WSGI: code + "/site.wsgi"},
		{Name: "entry", Kind: config.WSGI, Account: shop, WSGI: code + "/open.wsgi"},
		{Name: "settings", Kind: config.WSGI, Account: shop, Settings: "project.settings", PythonPath: []string{"/nowhere"}, Home: code},
		{Name: "directory", Kind: config.App, Account: shop, App: dir + "/shared/app"},
		{Name: "sticky", Kind: config.WSGI, Account: shop, WSGI: "wsgi:application", PythonPath: []string{dir + "/sticky"}},
		{Name: "ours", Kind: config.WSGI, WSGI: code + "/open.wsgi"},
	}}
	var want []string
	if os.Geteuid() == 0 {
		want = append(want, "these sites run as root, since they name no user: ours")
	}
	want = append(want,
		"site entry runs as shop, and everybody may write "+code+"/open.wsgi",
		"site settings runs as shop, and its group may write "+code+"/project/settings.py",
		"site directory runs as shop, and its group may write "+dir+"/shared",
	)
	if got := Of(cfg); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRunAsRoot_NamesSomeOfMany(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{}
	for i := range maxNamed + 2 {
		cfg.Sites = append(cfg.Sites, &config.Site{Name: string(rune('a' + i))})
	}
	want := "a, b, c, d, e, f, g, h, i, j, and 2 more"
	if os.Geteuid() != 0 {
		want = ""
	}
	if got := RunAsRoot(cfg); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOf_StaticDirectoriesThatAreMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := &config.Config{Sites: []*config.Site{{
		Name: "shop", Account: &account.Account{Name: "shop"},
		Static: map[string]string{"/media/": dir, "/static/": dir + "/missing"},
	}}}
	want := []string{"site shop: static: there is no " + dir + "/missing yet: /static/ is 404 until there is"}
	if got := Of(cfg); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
