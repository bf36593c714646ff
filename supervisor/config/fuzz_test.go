package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps/tomlfile"
)

// FuzzLoad: any text leads to a config whose sites can run, or to problems of one line each
// that name the file.
func FuzzLoad(f *testing.F) {
	f.Add(string(Demo()))
	f.Add("listen = [':80', '[::1]:81']\ntrusted_proxies = '10.0.0.0/8'\ninclude = '*.toml'\n")
	f.Add("[defaults]\nprocesses = {min = 0, max = 5}\nwsgi = 'blog.wsgi'\n[site.a]\nserver_name = '*.a'\nmount = '/x'\nstatic = {'/s' = 'static'}\n")
	f.Add("[site.a]\nserver_name = '${HOME:-x}'\napp = 'bin/app'\nsettings = 'blog.toml'\nenv = {A = 'b'}\nmax_body = '1KiB'\nthreads = 0\n")
	f.Add("[site.a]\nserver_name = 'a'\nserver_alias = ['a', '[::1]']\ndefault = true\nsettings = 'a.b'\npython_home = 'venv'\nqueue_timeout = '30'\n")
	dir := project(f)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(filepath.Join(dir, "sites.toml"), []byte(text))
		if err != nil {
			problems, ok := errors.AsType[tomlfile.Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("not a list of problems: %v", err)
			}
			for _, p := range problems {
				if strings.Contains(p.Error()+p.Hint, "\n") || !strings.HasPrefix(p.File, dir) {
					t.Errorf("not one line with its file: %q", p.Error()+p.Hint)
				}
			}
			return
		}
		for _, s := range c.Sites {
			if s.Name == "" || s.ServerName == "" && !s.Default || s.Kind == "" || s.Processes.Max < 1 || s.Threads < 1 ||
				s.QueueTimeout <= 0 || s.MaxBody <= 0 || !filepath.IsAbs(s.Home) || s.Kind == WSGI && !filepath.IsAbs(s.Python) {
				t.Errorf("a site that cannot run: %+v", s)
			}
		}
	})
}

func BenchmarkLoad_1000Sites(b *testing.B) {
	dir := project(b)
	var text strings.Builder
	text.WriteString("[defaults]\nsettings = 'project.settings'\nhome = 'run'\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "[site.s%d]\nserver_name = 's%d.example.com'\nserver_alias = ['www.s%d.example.com']\n"+
			"settings = 'project.s%d'\npython_path = ['src']\nenv = { N = '%d' }\n", i, i, i, i, i)
	}
	path := filepath.Join(dir, "sites.toml")
	write(b, path, text.String(), 0o644)
	for b.Loop() {
		if c, err := Load(path); err != nil || len(c.Sites) != 1000 {
			b.Fatal(err)
		}
	}
}
