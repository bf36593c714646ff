package config

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
)

// draft is a site while it is read: first [defaults], then its own table over it.
type draft struct {
	Site
	table  *tomlfile.Table
	entry  entry
	python *said // python_home
	names  []nameAt

	identity identity

	services, cron map[string]task
}

func newDraft(dir string) *draft {
	return &draft{services: map[string]task{}, cron: map[string]task{}, Site: Site{
		Aliases:         []string{},
		PythonPath:      []string{},
		Home:            dir,
		Env:             map[string]string{},
		Lang:            "C.UTF-8",
		Processes:       Range{1, 1},
		Preload:         defaultPreload(),
		ListenBacklog:   100,
		QueueTimeout:    30 * time.Second,
		RequestTimeout:  60 * time.Second,
		StartupTimeout:  30 * time.Second,
		GracefulTimeout: 15 * time.Second,
		ShutdownTimeout: 5 * time.Second,
		// nginx refuses bodies of more than 1 MB, and with them an ordinary photo;
		// Apache's 1 GiB lets a few strangers fill the disk that bodies are spooled to.
		MaxBody: 64_000_000,
		Static:  map[string]string{},
	}}
}

// inherit returns a new site that has all that d says.
func (d *draft) inherit(name string, table *tomlfile.Table) *draft {
	site := *d
	site.Name, site.table, site.Position = name, table, table.Position()
	site.Env = maps.Clone(d.Env)
	site.Static = maps.Clone(d.Static)
	site.services, site.cron = maps.Clone(d.services), maps.Clone(d.cron)
	return &site
}

func (d *draft) readDefaults(t *tomlfile.Table) {
	d.table = t
	t.Reject("a default cannot be the name of every site", "write it under [site.NAME]", "server_name", "server_alias", "default")
	d.readCommon()
}

func (d *draft) readSite() {
	d.readCommon()
	d.readNames()
}

// readCommon reads the keys that both [defaults] and [site.NAME] may have.
func (d *draft) readCommon() {
	t := d.table
	t.Reject("a key of the whole file", "write it above the first [table]", "listen", "dashboard", "include", "state_dir", "log_dir", "control_group", "trusted_proxies",
		"header_timeout", "idle_timeout", "client_timeout")
	d.readMount()
	d.readEntry()
	d.readPython()
	if t.Path("home", &d.Home) {
		checkDir(t, "home", d.Home)
	}
	d.readIdentity()
	d.readEnvFile()
	d.readEnv()
	d.readProcesses()
	d.readPreload()
	t.Int("threads", &d.Threads, 1)
	t.Int("listen_backlog", &d.ListenBacklog, 0)
	d.readTimeouts()
	if t.Size("max_body", &d.MaxBody) && d.MaxBody == 0 {
		t.Problem("max_body", "must be more than 0", "")
	}
	d.readLimits()
	d.readStatic()
	d.readTasks()
	d.readReloadOn()
}

func (d *draft) readTimeouts() {
	for _, timeout := range []struct {
		name string
		to   *time.Duration
	}{
		{"queue_timeout", &d.QueueTimeout},
		{"request_timeout", &d.RequestTimeout},
		{"startup_timeout", &d.StartupTimeout},
		{"graceful_timeout", &d.GracefulTimeout},
		{"shutdown_timeout", &d.ShutdownTimeout},
	} {
		readTimeout(d.table, timeout.name, timeout.to)
	}
	d.table.Duration("inactivity_timeout", &d.InactivityTimeout) // 0s: never
}

func readTimeout(t *tomlfile.Table, name string, to *time.Duration) {
	if t.Duration(name, to) && *to == 0 {
		t.Problem(name, "must be longer than 0s", "")
	}
}

func (d *draft) readProcesses() {
	t := d.table
	switch t.Value("processes").(type) {
	case nil:
	case int64:
		var n int
		if t.Int("processes", &n, 1) {
			d.Processes = Range{n, n}
		}
	case map[string]any:
		d.readRange(t.Table("processes"))
	default:
		t.WrongType("processes", "a whole number or a table { min, max }")
	}
}

func (d *draft) readRange(t *tomlfile.Table) {
	var r Range
	lower, upper := t.Int("min", &r.Min, 0), t.Int("max", &r.Max, 1)
	switch {
	case !t.Has("min") || !t.Has("max"):
		d.table.Problem("processes", "must have both min and max", "write { min = 0, max = 5 }")
	case lower && upper && r.Min > r.Max:
		d.table.Problem("processes", fmt.Sprintf("min %d is more than max %d", r.Min, r.Max), "")
	case lower && upper:
		d.Processes = r
	}
}

func (d *draft) readEnv() {
	t := d.table.Table("env")
	for _, name := range t.Names() {
		var value string
		if !t.String(name, &value) {
			continue
		}
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			t.Problem(name, "not possible in an environment", "")
		}
		d.Env[name] = value
	}
}

// readStatic reads what the front door serves by itself: false is nothing, true what
// Django tells, a table that and more.
func (d *draft) readStatic() {
	switch on := d.table.Value("static").(type) {
	case nil:
		return
	case bool:
		if d.NoStatic = !on; d.NoStatic {
			clear(d.Static)
		}
		return
	}
	if !d.table.IsTable("static") {
		d.table.WrongType("static", "a table, true or false")
		return
	}
	d.NoStatic = false
	t := d.table.Table("static")
	own := map[string]bool{}
	for _, name := range t.Names() {
		var dir string
		if !t.Path(name, &dir) {
			continue
		}
		if info, err := os.Stat(dir); err == nil && !info.IsDir() { // one that is not there is made by the first upload
			t.Problem(name, "not a directory: "+dir, "")
		}
		prefix, ok := urlPrefix(name)
		switch {
		case !ok || prefix == "":
			t.Problem(name, "not a URL prefix", `write one such as "/static/"`)
		case own[prefix]:
			t.Problem(name, "this URL prefix is there twice", "")
		}
		own[prefix] = true
		d.Static[prefix+"/"] = dir
	}
}

func (d *draft) readMount() {
	var mount string
	if !d.table.String("mount", &mount) {
		return
	}
	prefix, ok := urlPrefix(mount)
	if !ok {
		d.table.Problem("mount", fmt.Sprintf("%q is not a URL prefix", mount), `write one such as "/shop"; "/" is the whole host`)
	}
	d.Mount = prefix
}

var prefixShape = regexp.MustCompile(`^(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?$`)

// urlPrefix returns prefix without a slash at its end.
func urlPrefix(prefix string) (string, bool) {
	parts := strings.Split(prefix, "/")
	ok := prefix != "" && prefixShape.MatchString(prefix) && !slices.Contains(parts, ".") && !slices.Contains(parts, "..")
	return strings.TrimSuffix(prefix, "/"), ok
}

func checkDir(t *tomlfile.Table, name, path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		t.Problem(name, "no such directory: "+path, "")
	case !info.IsDir():
		t.Problem(name, "not a directory: "+path, "")
	}
}
