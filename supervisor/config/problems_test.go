package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad_Problems(t *testing.T) {
	t.Parallel()
	dir := project(t)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{
			`sites.toml: no site [write a [site.NAME] with a server_name, and settings = "project.settings"]`}},
		{"syntax", "[site.x]\nserver_name = \n", []string{
			`sites.toml:2: expected value but found '\n' instead`}},
		{"top level", `
listen = ["8080", "a b:1", "127.0.0.1:70000", ":80", ":80", "127.0.0.1:http", 7]
state_dir = "blog.toml"
trusted_proxies = [
  "10.0.0.0/33",
  "proxy.example",
]
lisen = "127.0.0.1:8080"
control_group = "no-such-group"
[sites.blog]
`, []string{
			`sites.toml:2: listen: must be a list of strings; one is a whole number`,
			`sites.toml:3: state_dir: not a directory: DIR/blog.toml`,
			`sites.toml:5: trusted_proxies: "10.0.0.0/33" is not an IP address or network [write one such as "10.0.0.1" or "10.0.0.0/8"]`,
			`sites.toml:6: trusted_proxies: "proxy.example" is not an IP address or network [write one such as "10.0.0.1" or "10.0.0.0/8"]`,
			`sites.toml:8: unknown key "lisen" [did you mean "listen"?]`,
			`sites.toml:9: control_group: there is no group "no-such-group"`,
			`sites.toml:10: unknown key "sites" [did you mean "site"?]`,
		}},
		{"listen", `
listen = [
  "8080",
  "a b:1",
  "127.0.0.1:70000",
  ":80", ":80",
  "127.0.0.1:http",
]
[site.x]
server_name = "x"
settings = "a.b"
`, []string{
			`sites.toml:3: listen: "8080" is not host:port [write one such as "127.0.0.1:8080" or ":8080"]`,
			`sites.toml:4: listen: "a b:1" is not host:port [write one such as "127.0.0.1:8080" or ":8080"]`,
			`sites.toml:5: listen: "127.0.0.1:70000" is not host:port [write one such as "127.0.0.1:8080" or ":8080"]`,
			`sites.toml:6: listen: ":80" is there twice`,
			`sites.toml:7: listen: "127.0.0.1:http" is not host:port [write one such as "127.0.0.1:8080" or ":8080"]`,
		}},
		{"listens nowhere", "listen = []\n[site.x]\nserver_name = 'x'\nsettings = 'a.b'\n", []string{
			`sites.toml:1: listen: must name at least one address`}},
		{"types and units", `[site.x]
server_name = "x"
settings = "a.b"
proceses = 3
processes = "3"
threads = 0
listen_backlog = -1
queue_timeout = 30
request_timeout = "30"
startup_timeout = "0s"
graceful_timeout = "-1s"
shutdown_timeout = "soon"
inactivity_timeout = true
max_body = "200"
default = "yes"
home = 7
env = "LANG=C"
static = ["static"]
preload = "yes"
warmup = ["login/"]
immortal = true
`, []string{
			`sites.toml:4: unknown key "site.x.proceses" [did you mean "processes"?]`,
			`sites.toml:5: site.x.processes: must be a whole number or a table { min, max }, not a string`,
			`sites.toml:6: site.x.threads: must be at least 1, not 0`,
			`sites.toml:7: site.x.listen_backlog: must be at least 0, not -1`,
			`sites.toml:8: site.x.queue_timeout: must be a duration such as "30s", not a whole number`,
			`sites.toml:9: site.x.request_timeout: "30" has no unit [write "30s"]`,
			`sites.toml:10: site.x.startup_timeout: must be longer than 0s`,
			`sites.toml:11: site.x.graceful_timeout: "-1s" is negative`,
			`sites.toml:12: site.x.shutdown_timeout: "soon" is not a duration [write one such as "500ms", "30s", "5m" or "1h30m"]`,
			`sites.toml:13: site.x.inactivity_timeout: must be a duration such as "30s", not true or false`,
			`sites.toml:14: site.x.max_body: "200" has no unit [write "200B", "200KB" or "200MB"]`,
			`sites.toml:15: site.x.default: must be true or false, not a string`,
			`sites.toml:16: site.x.home: must be a string, not a whole number`,
			`sites.toml:17: site.x.env: must be a table, not a string`,
			`sites.toml:18: site.x.static: must be a table, true or false, not a list`,
			`sites.toml:19: site.x.preload: "yes" is not a way to preload [write true, false or "auto"]`,
			`sites.toml:20: site.x.warmup: "login/" is not a path [a path begins with "/"]`,
			`sites.toml:21: site.x.immortal: must be a string, not true or false`,
		}},
		{"limits", `[site.x]
server_name = "x"
settings = "a.b"
maximum_requests = -1
restart_interval = 3600
memory_limit = "300"
memory_limit_hard = 1000000
cpu_time_limit = "soon"
cpu_priority = 20
stack_size = "16KiB"
max_clients_per_ip = "10"
[site.y]
server_name = "y"
settings = "a.b"
memory_limit = "300MB"
memory_limit_hard = "300MB"
cpu_priority = -21
maximum_request = 7
[site.z]
server_name = "z"
settings = "builtin:subdomain1"
stack_size = "1MB"
`, []string{
			`sites.toml:4: site.x.maximum_requests: must be at least 0, not -1`,
			`sites.toml:5: site.x.restart_interval: must be a duration such as "30s", not a whole number`,
			`sites.toml:6: site.x.memory_limit: "300" has no unit [write "300B", "300KB" or "300MB"]`,
			`sites.toml:7: site.x.memory_limit_hard: must be a size such as "64MB", not a whole number`,
			`sites.toml:8: site.x.cpu_time_limit: "soon" is not a duration [write one such as "500ms", "30s", "5m" or "1h30m"]`,
			`sites.toml:9: site.x.cpu_priority: must be at most 19, not 20 [19 waits for everybody else, -20 for nobody]`,
			`sites.toml:10: site.x.stack_size: must be at least 32KiB`,
			`sites.toml:11: site.x.max_clients_per_ip: must be a whole number, not a string`,
			`sites.toml:15: site.y.memory_limit: must be less than memory_limit_hard [a worker over the first is replaced, before it meets the second]`,
			`sites.toml:17: site.y.cpu_priority: must be at least -20, not -21`,
			`sites.toml:18: unknown key "site.y.maximum_request" [did you mean "maximum_requests"?]`,
			`sites.toml:22: site.z.stack_size: a key of Python sites; this is a Go site`,
		}},
		{"limits that an heir breaks", `[defaults]
memory_limit_hard = "200MB"
[site.x]
server_name = "x"
settings = "a.b"
memory_limit = "300MB"
[site.y]
server_name = "y"
settings = "a.b"
memory_limit = "300MB"
memory_limit_hard = "0B"
`, []string{
			`sites.toml:6: site.x.memory_limit: must be less than memory_limit_hard [a worker over the first is replaced, before it meets the second]`,
		}},
		{"defaults", `[defaults]
server_name = "x"
server_alias = "y"
default = true
include = "*.toml"
thread = 3
home = "none"
[site.x]
server_name = "x"
settings = "a.b"
[site.y]
server_name = "y"
settings = "a.b"
listen = ":80"
[site.z]
server_name = "z"
settings = "a.b"
lisen = ":80"
`, []string{
			`sites.toml:2: defaults.server_name: a default cannot be the name of every site [write it under [site.NAME]]`,
			`sites.toml:3: defaults.server_alias: a default cannot be the name of every site [write it under [site.NAME]]`,
			`sites.toml:4: defaults.default: a default cannot be the name of every site [write it under [site.NAME]]`,
			`sites.toml:5: defaults.include: a key of the whole file [write it above the first [table]]`,
			`sites.toml:6: unknown key "defaults.thread" [did you mean "threads"?]`,
			`sites.toml:7: defaults.home: no such directory: DIR/none`,
			`sites.toml:14: site.y.listen: a key of the whole file [write it above the first [table]]`,
			`sites.toml:18: unknown key "site.z.lisen"`,
		}},
		{"names of sites", `
site.".x" = { server_name = "a", settings = "a.b" }
site."-x" = { server_name = "b", settings = "a.b" }
site."x/y" = { server_name = "c", settings = "a.b" }
site."ok.x_y-Z" = { server_name = "d", settings = "a.b" }
site."multisite" = { server_name = "f", settings = "a.b" }
site."ok.access" = { server_name = "g", settings = "a.b" }
[site.my.blog]
server_name = "e"
`, []string{
			`sites.toml:2: site.".x": not a name for a site [use letters, digits, "-", "_" and "."; start with none of "-" and "."]`,
			`sites.toml:3: site.-x: not a name for a site [use letters, digits, "-", "_" and "."; start with none of "-" and "."]`,
			`sites.toml:4: site."x/y": not a name for a site [use letters, digits, "-", "_" and "."; start with none of "-" and "."]`,
			`sites.toml:6: site.multisite: its log would be another one's [use another name: multisite.log is the supervisor's, NAME.access.log the access log of a site]`,
			`sites.toml:7: site."ok.access": its log would be another one's [use another name: multisite.log is the supervisor's, NAME.access.log the access log of a site]`,
			`sites.toml:8: unknown key "site.my.blog"`,
			`sites.toml:8: site.my.server_name: missing [write the host name that the site answers to]`,
			`sites.toml:8: site.my.settings: missing: the site has nothing to run [write settings, wsgi or app]`,
		}},
		{"site is no table", "[site]\nserver_name = 'x'\n", []string{
			`sites.toml:2: site.server_name: stands in no site [write it under [site.NAME]]`}},
		{"server names", `[site.x]
server_name = "http://x/"
settings = "a.b"
server_alias = [
  "a b", "", "a..b",
  "x.*.com", "*",
  "bücher.example",
  "ok.example", 
]
`, []string{
			`sites.toml:2: site.x.server_name: "http://x/" is not a host name [use letters, digits, "-", "_" and dots; "*." may come first]`,
			`sites.toml:5: site.x.server_alias: "" is not a host name [use letters, digits, "-", "_" and dots; "*." may come first]`,
			`sites.toml:5: site.x.server_alias: "a b" is not a host name [use letters, digits, "-", "_" and dots; "*." may come first]`,
			`sites.toml:5: site.x.server_alias: "a..b" is not a host name [use letters, digits, "-", "_" and dots; "*." may come first]`,
			`sites.toml:6: site.x.server_alias: "*" is not a host name [use letters, digits, "-", "_" and dots; "*." may come first]`,
			`sites.toml:6: site.x.server_alias: "x.*.com" is not a host name [use letters, digits, "-", "_" and dots; "*." may come first]`,
			`sites.toml:7: site.x.server_alias: "bücher.example" is not a host name [write it as browsers send it, in its "xn--" form]`,
		}},
		{"shared names", `[defaults]
settings = "a.b"
[site.x]
server_name = "x.example.com"
server_alias = "*.example.com"
default = true
[site.y]
server_name = "y.example.com"
server_alias = ["X.example.com.", "*.EXAMPLE.com:80"]
default = true
[site.z]
server_name = "x.example.com"
mount = "/z"
[site.w]
server_name = "x.example.com"
mount = "/z/"
`, []string{
			`sites.toml:9: site.y.server_alias: "*.example.com" is a name of site x already (DIR/sites.toml:5)`,
			`sites.toml:9: site.y.server_alias: "x.example.com" is a name of site x already (DIR/sites.toml:4)`,
			`sites.toml:10: site.y.default: site x is the default already (DIR/sites.toml:6)`,
			`sites.toml:15: site.w.server_name: "x.example.com" is a name of site z already (DIR/sites.toml:12)`,
		}},
		{"no name, nothing to run", "[site.x]\nthreads = 2\n", []string{
			`sites.toml:1: site.x.server_name: missing [write the host name that the site answers to]`,
			`sites.toml:1: site.x.settings: missing: the site has nothing to run [write settings, wsgi or app]`,
		}},
		{"contradictions", `
[site.a]
server_name = "a"
app = "bin/app"
wsgi = "m:c"
[site.b]
server_name = "b"
app = "bin/app"
settings = "a.b"
[site.c]
server_name = "c"
app = "bin/app"
settings = "builtin:c"
[site.d]
server_name = "d"
wsgi = "m:c"
settings = "blog.toml"
[site.e]
server_name = "e"
settings = "blog.toml"
python_home = "venv"
python_path = "src"
`, []string{
			`sites.toml:4: site.a.app: a site has either app or wsgi, not both [app is a Go program, wsgi a Python application]`,
			`sites.toml:8: site.b.app: a site with app has no Python settings [its settings may be a .toml file]`,
			`sites.toml:12: site.c.app: a site with app has no builtin settings [its settings may be a .toml file]`,
			`sites.toml:16: site.d.wsgi: a site with wsgi has no TOML settings [its settings are a Python module such as "project.settings"]`,
			`sites.toml:21: site.e.python_home: a key of Python sites; this is a Go site`,
			`sites.toml:22: site.e.python_path: a key of Python sites; this is a Go site`,
		}},
		{"entries", `
[site.a]
server_name = "a"
settings = "project/settings.py"
[site.b]
server_name = "b"
settings = "builtin:"
[site.c]
server_name = "c"
settings = "none.toml"
[site.d]
server_name = "d"
wsgi = "src/none.wsgi"
[site.e]
server_name = "e"
wsgi = "none.wsgi"
[site.f]
server_name = "f"
wsgi = "two words"
[site.g]
server_name = "g"
app = "bin/none"
[site.h]
server_name = "h"
app = "bin/data"
[site.i]
server_name = "i"
app = "bin"
[site.j]
server_name = "j"
settings = ""
`, []string{
			`sites.toml:4: site.a.settings: "project/settings.py" is not a Python module [write a dotted name such as "project.settings", or the path of a .toml file]`,
			`sites.toml:7: site.b.settings: no name after builtin:`,
			`sites.toml:10: site.c.settings: no such file: DIR/none.toml`,
			`sites.toml:13: site.d.wsgi: no such file: DIR/src/none.wsgi`,
			`sites.toml:16: site.e.wsgi: there is no file "none.wsgi" beside sites.toml, in home or in python_path [is it a module? write "none.wsgi:application"]`,
			`sites.toml:19: site.f.wsgi: there is no file "two words" beside sites.toml, in home or in python_path [write the path of a script, or "module:callable"]`,
			`sites.toml:22: site.g.app: no such file: DIR/bin/none`,
			`sites.toml:25: site.h.app: not a program: DIR/bin/data [chmod +x DIR/bin/data]`,
			`sites.toml:28: site.i.app: not a file: DIR/bin`,
			`sites.toml:31: site.j.settings: "" is not a Python module [write a dotted name such as "project.settings", or the path of a .toml file]`,
		}},
		{"paths and tables", `
[site.a]
server_name = "a"
settings = "a.b"
home = "blog.toml"
python_home = "none"
python_path = ["src", "none"]
mount = "shop"
processes = { min = 5, max = 2 }
[site.a.env]
PORT = 80
"A=B" = "x"
[site.a.static]
"static" = "static"
"/" = "static"
"/a/../b" = "static"
"/m" = "blog.toml"
"/s" = "static"
"/s/" = "static"
[site.b]
server_name = "b"
settings = "a.b"
python_home = "broken"
mount = "/a//b"
processes = { max = 2 }
[site.c]
server_name = "c"
settings = "a.b"
python_home = "bin/data"
processes = { min = -1, max = 0, more = 1 }
`, []string{
			`sites.toml:5: site.a.home: not a directory: DIR/blog.toml`,
			`sites.toml:6: site.a.python_home: no such directory or interpreter: DIR/none [name a virtual environment, a prefix with bin/python3, or an interpreter]`,
			`sites.toml:7: site.a.python_path: no such directory: DIR/none`,
			`sites.toml:8: site.a.mount: "shop" is not a URL prefix [write one such as "/shop"; "/" is the whole host]`,
			`sites.toml:9: site.a.processes: min 5 is more than max 2`,
			`sites.toml:11: site.a.env.PORT: must be a string, not a whole number`,
			`sites.toml:12: site.a.env."A=B": not possible in an environment`,
			`sites.toml:14: site.a.static.static: not a URL prefix [write one such as "/static/"]`,
			`sites.toml:15: site.a.static."/": not a URL prefix [write one such as "/static/"]`,
			`sites.toml:16: site.a.static."/a/../b": not a URL prefix [write one such as "/static/"]`,
			`sites.toml:17: site.a.static."/m": not a directory: DIR/blog.toml`,
			`sites.toml:19: site.a.static."/s/": this URL prefix is there twice`,
			`sites.toml:23: site.b.python_home: no interpreter: looked for DIR/broken/bin/python3 and DIR/broken/bin/python [name a virtual environment, a prefix with bin/python3, or an interpreter]`,
			`sites.toml:24: site.b.mount: "/a//b" is not a URL prefix [write one such as "/shop"; "/" is the whole host]`,
			`sites.toml:25: site.b.processes: must have both min and max [write { min = 0, max = 5 }]`,
			`sites.toml:29: site.c.python_home: not a program: DIR/bin/data [name a virtual environment, a prefix with bin/python3, or an interpreter]`,
			`sites.toml:30: site.c.processes.max: must be at least 1, not 0`,
			`sites.toml:30: site.c.processes.min: must be at least 0, not -1`,
			`sites.toml:30: unknown key "site.c.processes.more"`,
		}},
		{"a mistake in defaults is said once", `
[defaults]
settings = "none.toml"
[site.a]
server_name = "a"
[site.b]
server_name = "b"
`, []string{
			`sites.toml:3: defaults.settings: no such file: DIR/none.toml`}},
		{"environment", "[site.x]\nserver_name = '${MULTISITE_TEST_NONE}'\nhome = '${MULTISITE_TEST_NONE}'\nsettings = '${MULTISITE_TEST_NONE:-a.b}'\n", []string{
			`sites.toml:2: site.x.server_name: environment variable MULTISITE_TEST_NONE is not set [set it, or give a default: ${MULTISITE_TEST_NONE:-default}]`,
			`sites.toml:3: site.x.home: environment variable MULTISITE_TEST_NONE is not set [set it, or give a default: ${MULTISITE_TEST_NONE:-default}]`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(filepath.Join(dir, "sites.toml"), []byte(tt.text))
			wantReport(t, dir, err, tt.want...)
		})
	}
}

func TestNormalizeName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"Example.COM": "example.com", "a.": "a", "a:80": "a", "a.:80": "a", "*.A.com": "*.a.com", "under_score.x-y": "under_score.x-y",
		"127.0.0.1:80": "127.0.0.1", "[::1]": "[::1]", "[0::0:1]:80": "[::1]", "::1": "[::1]", long + ".x": long + ".x",
		"": "", ".": "", "a..": "", ".a": "", "*": "", "*.": "", "*.*.a": "", "a.*": "", "*a.b": "", "a b": "", "a/b": "", "a\tb": "",
		"[::1": "", "[a]": "", "[1.2.3.4]": "", "[fe80::1%eth0]": "", "a:b": "", "user@a": "", "ä.de": "",
		long + "a": "", strings.Repeat("a.", 127) + "a": "",
	} {
		got, hint := normalizeName(name)
		if got != want || (want == "") != (hint != "") {
			t.Errorf("%q: got %q, hint %q, want %q", name, got, hint, want)
		}
		if again, _ := normalizeName(got); want != "" && again != got {
			t.Errorf("%q: normalised twice is %q, want %q", name, again, got)
		}
	}
}
