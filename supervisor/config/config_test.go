package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
)

// project makes a directory with one of every file that a site can refer to.
func project(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{
		"venv/bin/python3": 0o755, "prefix/bin/python": 0o755, "broken/bin/python3": 0o644, "python3.99": 0o755,
		"bin/app": 0o755, "bin/data": 0o644, "blog.toml": 0o644, "blog.wsgi": 0o644,
		"src/shop.wsgi": 0o644, "run/home.wsgi": 0o644, "static/x.css": 0o644, "media/y.png": 0o644,
	} {
		write(t, filepath.Join(dir, name), "", mode)
	}
	return dir
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t testing.TB, dir, text string) *Config {
	t.Helper()
	path := filepath.Join(dir, "sites.toml")
	write(t, path, text, 0o644)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// report returns what the user reads, with DIR for the project's directory.
func report(dir string, err error) []string {
	problems, _ := errors.AsType[tomlfile.Problems](err)
	var lines []string
	for _, p := range problems {
		line := p.Error()
		if p.Hint != "" {
			line += " [" + p.Hint + "]"
		}
		line = strings.TrimPrefix(line, dir+"/")
		lines = append(lines, strings.ReplaceAll(line, dir, "DIR"))
	}
	return lines
}

func wantReport(t *testing.T, dir string, err error, want ...string) {
	t.Helper()
	if got := report(dir, err); !slices.Equal(got, want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

var preloadByDefault = Preload{Mode: "auto", Warmup: []string{"auto"}, GCFreeze: true, SealHeap: true, RelocateCode: true, Immortal: "auto"}

func TestLoad_FillsInDefaults(t *testing.T) {
	t.Parallel()
	dir := project(t)
	c := mustLoad(t, dir, "[site.blog]\nserver_name = 'Blog.Example.COM.:80'\nsettings = 'project.blog'\n")
	want := &Config{
		Path: dir + "/sites.toml", Dir: dir, Listen: []string{"127.0.0.1:8080"}, StateDir: dir + "/.multisite", LogDir: dir + "/.multisite/logs",
		LogMaxSize: 64 << 20, LogKeep: 3, Timeouts: Timeouts{Header: 10 * time.Second, Idle: 75 * time.Second, Client: 60 * time.Second},
		Sites: []*Site{{
			Name: "blog", Position: tomlfile.Position{File: dir + "/sites.toml", Line: 1},
			ServerName: "blog.example.com", Aliases: []string{},
			Kind: WSGI, Settings: "project.blog",
			Python: dir + "/venv/bin/python3", PythonPath: []string{}, Home: dir, Env: map[string]string{}, Lang: "C.UTF-8",
			Processes: Range{1, 1}, Threads: 1, Preload: preloadByDefault, ListenBacklog: 100,
			QueueTimeout: 30 * time.Second, RequestTimeout: 60 * time.Second, StartupTimeout: 30 * time.Second,
			GracefulTimeout: 15 * time.Second, ShutdownTimeout: 5 * time.Second, ReplaceIdle: true,
			MaxBody: 64_000_000, MaxTunnels: 1000, Static: map[string]string{}, Sendfile: map[string]string{}, TLS: TLS{Mode: TLSOff}, AccessLog: AccessCombined,
			HTTPS: HTTPSRedirect,
		}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v\ngot site  %+v\nwant site %+v", c, want, c.Sites[0], want.Sites[0])
	}
}

func TestLoad_ReadsEveryKey(t *testing.T) {
	t.Parallel()
	dir := project(t)
	write(t, dir+"/site.env", "FROM_FILE=yes\nEMPTY=not\n", 0o600)
	write(t, dir+"/ca.pem", "", 0o600)
	c := mustLoad(t, dir, `
listen = ["127.0.0.1:0", "[::1]:8080", ":80", "localhost:81"]
listen_tls = ["127.0.0.1:0", ":443"]
acme = { email = "a@example.com", directory = "https://ca.example.com/dir", ca_file = "ca.pem" }
state_dir = "var"
dashboard = "127.0.0.1:8081"
control_group = "0"
trusted_proxies = ["10.0.0.0/8", "192.168.0.1", "::1", "10.1.2.3/16", "::ffff:10.2.0.0/112", "::ffff:10.3.0.1"]
log_dir = "log"
log_max_size = "1MiB"
log_keep = 0
header_timeout = "5s"
idle_timeout = "2m"
client_timeout = "30s"
max_connections = 5000
max_connections_per_ip = 50
[site.blog]
tls = { cert = "blog.pem", key = "/keys/blog.pem" }
server_name = "blog.example.com"
server_alias = ["*.blog.example.com", "10.0.0.1", "[::1]:8080", "XN--bcher-kva.example"]
default = true
mount = "/b/"
settings = "project.blog"
wsgi = "project.wsgi:application"
python_home = "prefix"
python_path = ["src", "/"]
home = "run"
umask = "027"
lang = "de_CH.UTF-8"
locale = "C"
env_file = "site.env"
env = { LANG = "C", EMPTY = "" }
processes = { min = 0, max = 5 }
threads = 3
preload = false
warmup = ["/", "/admin/login/"]
warmup_strict = true
gc_freeze = false
seal_heap = false
relocate_code = false
immortal = "on"
listen_backlog = 0
queue_timeout = "1s"
request_timeout = "2s"
startup_timeout = "3s"
graceful_timeout = "4s"
shutdown_timeout = "500ms"
inactivity_timeout = "1h"
replace_idle = false
max_body = "1GiB"
maximum_requests = 5000
restart_interval = "24h"
memory_limit = "300MiB"
memory_limit_hard = "1GiB"
cpu_time_limit = "10m"
cpu_priority = 5
stack_size = "512KiB"
max_clients_per_ip = 20
max_tunnels = 30
tasks_limit = 0
static = { "/static" = "static", "/a/media/" = "media", "/robots.txt" = "site.env", "/later" = "later", "/soon/" = "later" }
index = "index.html"
compress = ["text/HTML", "text/*"]
sendfile = { "/protected" = "media" }
access_log = "json"
https = "both"
hsts = "1y"
`)
	umask, group := 0o27, 0
	want := &Config{
		Path: dir + "/sites.toml", Dir: dir, StateDir: dir + "/var", LogDir: dir + "/log", Dashboard: "127.0.0.1:8081", ControlGroup: &group,
		LogMaxSize: 1 << 20, MaxConnections: 5000, MaxConnectionsPerIP: 50, Timeouts: Timeouts{Header: 5 * time.Second, Idle: 2 * time.Minute, Client: 30 * time.Second},
		Listen: []string{"127.0.0.1:0", "[::1]:8080", ":80", "localhost:81"}, ListenTLS: []string{"127.0.0.1:0", ":443"},
		ACME: ACME{Email: "a@example.com", Directory: []string{"https://ca.example.com/dir"}, CAFile: dir + "/ca.pem"},
		TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.0.1/32"),
			netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.1.0.0/16"),
			netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.3.0.1/32"),
		},
		Sites: []*Site{{
			Name: "blog", Position: tomlfile.Position{File: dir + "/sites.toml", Line: 17},
			ServerName: "blog.example.com", Default: true, Mount: "/b",
			Aliases: []string{"*.blog.example.com", "10.0.0.1", "[::1]", "xn--bcher-kva.example"},
			Kind:    WSGI, Settings: "project.blog", WSGI: "project.wsgi:application",
			Python: dir + "/prefix/bin/python", PythonPath: []string{dir + "/src", "/"}, Home: dir + "/run",
			EnvFile: dir + "/site.env", Env: map[string]string{"LANG": "C", "EMPTY": "", "FROM_FILE": "yes"},
			Umask: &umask, Lang: "de_CH.UTF-8", Locale: "C",
			Processes: Range{0, 5}, Threads: 3, ListenBacklog: 0,
			Preload:      Preload{Mode: "false", Warmup: []string{"/", "/admin/login/"}, WarmupStrict: true, Immortal: "on"},
			QueueTimeout: time.Second, RequestTimeout: 2 * time.Second, StartupTimeout: 3 * time.Second,
			GracefulTimeout: 4 * time.Second, ShutdownTimeout: time.Second / 2, InactivityTimeout: time.Hour,
			MaximumRequests: 5000, RestartInterval: 24 * time.Hour, MemoryLimit: 300 << 20, MemoryLimitHard: 1 << 30,
			CPUTimeLimit: 10 * time.Minute, CPUPriority: 5, StackSize: 512 << 10, MaxClientsPerIP: 20, MaxTunnels: 30,
			MaxBody: 1 << 30, Static: map[string]string{"/static/": dir + "/static", "/a/media/": dir + "/media", "/robots.txt": dir + "/site.env", "/later": dir + "/later", "/soon/": dir + "/later"},
			Index: "index.html", Compress: Compress{Answers: true, Types: []string{"text/html", "text/*"}}, Sendfile: map[string]string{"/protected/": dir + "/media"},
			TLS: TLS{Mode: TLSFiles, Cert: dir + "/blog.pem", Key: "/keys/blog.pem"}, TLSPosition: tomlfile.Position{File: dir + "/sites.toml", Line: 18}, AccessLog: AccessJSON,
			HTTPS: HTTPSBoth, HSTS: 365 * 24 * time.Hour,
		}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v\ngot site  %+v\nwant site %+v", c, want, c.Sites[0], want.Sites[0])
	}
}

func TestLoad_RangeHasAnInactivityTimeout(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, project(t), "[site.blog]\nserver_name = 'b'\nsettings = 'project.blog'\nprocesses = { min = 0, max = 3 }\n")
	if got := c.Sites[0].InactivityTimeout; got != idleByDefault {
		t.Errorf("got %v, want %v", got, idleByDefault)
	}
}

func TestLoad_SitesInheritDefaults(t *testing.T) {
	t.Parallel()
	dir := project(t)
	c := mustLoad(t, dir, `
[site.b]
server_name = "b"
processes = 2
env = { B = "own" }
static = { "/own" = "media", "/file" = "media" }
compress = []
python_path = []
[site.a]
server_name = "a"
[site.c]
server_name = "c"
static = false
[defaults]
settings = "project.settings"
processes = { min = 1, max = 7 }
threads = 4
env = { A = "shared", B = "shared" }
python_path = "src"
static = { "/s" = "static", "/file" = "blog.toml" }
index = "a.html"
compress = false
`)
	if c := c.Sites[2]; !c.NoStatic || len(c.Static) > 0 {
		t.Errorf("static = false: got %v, %v", c.NoStatic, c.Static)
	}
	a, b := c.Sites[0], c.Sites[1]
	if a.Name != "a" || a.Settings != "project.settings" || a.Processes != (Range{1, 7}) || a.Threads != 4 ||
		!reflect.DeepEqual(a.Env, map[string]string{"A": "shared", "B": "shared"}) ||
		!reflect.DeepEqual(a.Static, map[string]string{"/s/": dir + "/static", "/file": dir + "/blog.toml"}) || a.Index != "a.html" || !a.Compress.Nothing || a.PythonPath[0] != dir+"/src" {
		t.Errorf("got %+v, want all defaults", a)
	}
	if b.Processes != (Range{2, 2}) || b.Threads != 4 || len(b.PythonPath) != 0 || len(b.Static) != 3 || b.Static["/own/"] != dir+"/media" || b.Static["/file/"] != dir+"/media" || !reflect.DeepEqual(b.Compress, Compress{}) ||
		!reflect.DeepEqual(b.Env, map[string]string{"A": "shared", "B": "own"}) {
		t.Errorf("got %+v, want its own values over defaults", b)
	}
}

// Each pair is [defaults] and [site.x]. The program of the site replaces an inherited one.
func TestLoad_EntryOfASiteReplacesAnInheritedOne(t *testing.T) {
	t.Parallel()
	dir := project(t)
	for _, tt := range []struct {
		defaults, site string
		kind           Kind
		want           []string // settings, wsgi, app
	}{
		{"", `settings = "a.b"`, WSGI, []string{"a.b", "", ""}},
		{"", `settings = "blog.toml"`, Apps, []string{"DIR/blog.toml", "", ""}},
		{"", `settings = "builtin:subdomain1"`, Apps, []string{"builtin:subdomain1", "", ""}},
		{"", `app = "bin/app"`, App, []string{"", "", "DIR/bin/app"}},
		{"", "app = 'bin/app'\nsettings = 'blog.toml'", App, []string{"DIR/blog.toml", "", "DIR/bin/app"}},
		{"", `wsgi = "blog.wsgi"`, WSGI, []string{"", "DIR/blog.wsgi", ""}},
		{"", `wsgi = "src/shop.wsgi"`, WSGI, []string{"", "DIR/src/shop.wsgi", ""}},
		{"", "wsgi = 'shop.wsgi'\npython_path = 'src'", WSGI, []string{"", "DIR/src/shop.wsgi", ""}},
		{"", "wsgi = 'home.wsgi'\nhome = 'run'", WSGI, []string{"", "DIR/run/home.wsgi", ""}},
		{"", `wsgi = "pkg.module:callable"`, WSGI, []string{"", "pkg.module:callable", ""}},
		{`settings = "a.b"`, `wsgi = "m:c"`, WSGI, []string{"a.b", "m:c", ""}},
		{`wsgi = "m:c"`, `settings = "a.b"`, WSGI, []string{"a.b", "m:c", ""}},
		{`settings = "a.b"`, `app = "bin/app"`, App, []string{"", "", "DIR/bin/app"}},
		{"wsgi = 'm:c'\nsettings = 'a.b'", `settings = "blog.toml"`, Apps, []string{"DIR/blog.toml", "", ""}},
		{`app = "bin/app"`, `settings = "blog.toml"`, App, []string{"DIR/blog.toml", "", "DIR/bin/app"}},
		{`app = "bin/app"`, `settings = "builtin:a"`, Apps, []string{"builtin:a", "", ""}},
		{`app = "bin/app"`, `settings = "a.b"`, WSGI, []string{"a.b", "", ""}},
		{`app = "bin/app"`, `wsgi = "m:c"`, WSGI, []string{"", "m:c", ""}},
		{`settings = "blog.toml"`, `wsgi = "m:c"`, WSGI, []string{"", "m:c", ""}},
		{`settings = "blog.toml"`, `app = "bin/app"`, App, []string{"DIR/blog.toml", "", "DIR/bin/app"}},
		{`settings = "builtin:a"`, `app = "bin/app"`, App, []string{"", "", "DIR/bin/app"}},
		{"settings = 'a.b'\npython_home = 'prefix'", `settings = "blog.toml"`, Apps, []string{"DIR/blog.toml", "", ""}},
	} {
		c := mustLoad(t, dir, "[defaults]\n"+tt.defaults+"\n[site.x]\nserver_name = 'x'\n"+tt.site+"\n")
		s := c.Sites[0]
		got := []string{s.Settings, s.WSGI, s.App}
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], dir, "DIR")
		}
		threads := map[Kind]int{WSGI: 1, Apps: 100, App: 100}[tt.kind]
		if s.Kind != tt.kind || !slices.Equal(got, tt.want) || s.Threads != threads {
			t.Errorf("%q and %q: got %s %q with %d threads, want %s %q with %d",
				tt.defaults, tt.site, s.Kind, got, s.Threads, tt.kind, tt.want, threads)
		}
	}
}

func TestLoad_FindsPython(t *testing.T) {
	dir := project(t)
	bare := t.TempDir()                      // no virtual environment beside sites.toml
	write(t, bare+"/bin/python3", "", 0o755) // PATH may name it, but not from here
	t.Chdir(bare)
	t.Setenv("PATH", "bin:"+dir+"/broken/bin:"+dir+"/venv/bin")
	for _, tt := range []struct{ dir, home, want string }{
		{dir, "", "DIR/venv/bin/python3"},
		{dir, "prefix", "DIR/prefix/bin/python"},
		{dir, "python3.99", "DIR/python3.99"},
		{bare, dir + "/venv", "DIR/venv/bin/python3"},
		{bare, "", "DIR/venv/bin/python3"}, // from PATH
	} {
		text := "[site.x]\nserver_name = 'x'\nsettings = 'a.b'\n"
		if tt.home != "" {
			text += "python_home = '" + tt.home + "'\n"
		}
		c := mustLoad(t, tt.dir, text)
		if got := strings.ReplaceAll(c.Sites[0].Python, dir, "DIR"); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.home, got, tt.want)
		}
	}

	t.Setenv("PATH", "")
	path := filepath.Join(bare, "sites.toml")
	write(t, path, "[site.x]\nserver_name = 'x'\nsettings = 'a.b'\n", 0o644)
	_, err := Load(path)
	wantReport(t, bare, err, "sites.toml:1: site.x.python_home: no Python: looked for DIR/.venv, DIR/venv and python3 in PATH"+
		" [name a virtual environment, a prefix with bin/python3, or an interpreter]")
	write(t, filepath.Join(bare, ".venv/bin/python3"), "", 0o644)
	_, err = Load(path)
	wantReport(t, bare, err, "sites.toml:1: site.x.python_home: no interpreter: looked for DIR/.venv/bin/python3 and DIR/.venv/bin/python"+
		" [make it again: python3 -m venv --clear DIR/.venv]")
}

func TestLoad_Include(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(project(t), "a[b]*") // none of it is a wildcard
	write(t, dir+"/blog.toml", "", 0o644)
	write(t, dir+"/venv/bin/python3", "", 0o755)
	write(t, dir+"/sites.d/b.toml", "[site.b]\nserver_name = 'b'\nhome = 'sub'\n", 0o644)
	write(t, dir+"/sites.d/sub/x", "", 0o644)
	write(t, dir+"/one.toml", "[site.one]\nserver_name = 'one'\n", 0o644)
	c := mustLoad(t, dir, "include = ['sites.d/*.toml', 'one.toml', 'o*.toml', 'none.d/*']\n[defaults]\nsettings = 'blog.toml'\n")
	if len(c.Sites) != 2 || c.Sites[0].Name != "b" || c.Sites[1].Name != "one" {
		t.Fatalf("got %d sites, want b and one", len(c.Sites))
	}
	b := c.Sites[0]
	if b.Home != dir+"/sites.d/sub" || b.Settings != dir+"/blog.toml" || b.Position.File != dir+"/sites.d/b.toml" {
		t.Errorf("got %+v, want paths relative to the file that says them", b)
	}
}

func TestLoad_NoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Load(dir + "/sites.toml")
	wantReport(t, dir, err, "sites.toml: no such file [write one, or name another with -c FILE; multisite up --demo writes one of two small sites]")
	_, err = Load(dir)
	wantReport(t, dir, err, "DIR: is a directory")
}

func TestSite_SameIgnoresWhereItStands(t *testing.T) {
	t.Parallel()
	dir := project(t)
	text := "[site.x]\nserver_name = 'x'\nsettings = 'a.b'\n"
	a := mustLoad(t, dir, text).Sites[0]
	b := mustLoad(t, dir, "# a comment\n\n"+text+"env = {}\nserver_alias = []\n").Sites[0]
	c := mustLoad(t, dir, text+"env = {A = ''}\n").Sites[0]
	if !a.Same(b) || a.Same(c) {
		t.Errorf("got %v and %v, want true and false", a.Same(b), a.Same(c))
	}
	if b.Position.Line != 3 {
		t.Errorf("got line %d, want 3: Same must not change its argument", b.Position.Line)
	}
}

func TestDemo_IsTheFileAtTheTop(t *testing.T) {
	t.Parallel()
	top, err := os.ReadFile("../../sites.toml")
	if err != nil {
		t.Fatal(err)
	}
	if string(top) != string(Demo()) {
		t.Error("sites.toml and supervisor/config/demo.toml differ")
	}
	c, err := Parse("sites.toml", Demo())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sites) != 2 || c.Sites[1].Kind != Apps || c.Sites[1].Settings != "builtin:subdomain2" || c.Sites[1].Processes.Max != 2 {
		t.Errorf("got %+v", c.Sites)
	}
}
