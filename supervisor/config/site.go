package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
)

// siteDraft is a site while it is read: first the defaults of the keys, then
// [defaults], then its own table, each over what was there before. What can only be
// checked once all of a site is known waits for loader.finishSite.
type siteDraft struct {
	Site                           // the values so far
	table          *tomlfile.Table // the table that is being read, and later the site's own
	runs           application     // settings, wsgi, app
	python         *rawValue       // python_home; nil: none so far
	names          []nameAt        // server_name and server_alias
	runAs          identity        // user, group, supplementary_groups
	services, cron map[string]task // by name
	pagesAt        *tomlfile.Table // where error_pages stands; nil: nowhere
}

// newDraft returns a site in which every key has its default.
func newDraft(dir string) *siteDraft {
	d := &siteDraft{services: map[string]task{}, cron: map[string]task{}, Site: Site{
		Aliases:    []string{},
		PythonPath: []string{},
		Home:       dir,
		Env:        map[string]string{},
		Static:     map[string]string{},
		Sendfile:   map[string]string{},
	}}
	d.table = defaultsTable(siteKeys)
	d.readKeys(key.inDefaults)
	return d
}

// inherit returns a new site that has all values of d.
func (d *siteDraft) inherit(name string, table *tomlfile.Table) *siteDraft {
	site := *d
	site.Name, site.table, site.Position = name, table, table.Position()
	site.Env = maps.Clone(d.Env)
	site.Static, site.Sendfile = maps.Clone(d.Static), maps.Clone(d.Sendfile)
	site.services, site.cron = maps.Clone(d.services), maps.Clone(d.cron)
	return &site
}

// readDefaults reads [defaults].
func (d *siteDraft) readDefaults(t *tomlfile.Table) {
	d.table = t
	t.Reject("not allowed in [defaults]", "write it under [site.NAME]",
		names(siteKeys, func(k key) bool { return !k.inDefaults() })...)
	d.rejectTopKeys()
	d.readKeys(key.inDefaults)
}

// readSite reads [site.NAME].
func (d *siteDraft) readSite() {
	d.rejectTopKeys()
	d.readKeys(func(key) bool { return true })
	if !d.table.Has("server_name") && !d.Default {
		d.table.Problem("server_name", "missing", "write the host name that the site answers to")
	}
}

func (d *siteDraft) rejectTopKeys() {
	d.table.Reject("a key of the whole file", "write it above the first [table]", topNames...)
}

// siteReaders read the keys that a tag cannot describe. A nil reader is for a key that
// the reader of another key reads as well.
var siteReaders = map[string]func(*siteDraft){
	"server_name":          (*siteDraft).readServerName,
	"server_alias":         (*siteDraft).readAliases,
	"mount":                (*siteDraft).readMount,
	"tls":                  (*siteDraft).readTLS,
	"https":                (*siteDraft).readHTTPS,
	"static":               (*siteDraft).readStatic,
	"index":                (*siteDraft).readIndex,
	"compress":             (*siteDraft).readCompress,
	"sendfile":             (*siteDraft).readSendfile,
	"settings":             (*siteDraft).readApplication,
	"wsgi":                 nil, // settings
	"app":                  nil, // settings
	"python_home":          (*siteDraft).readPythonHome,
	"python_path":          (*siteDraft).readPythonPath,
	"home":                 (*siteDraft).readHome,
	"env_file":             (*siteDraft).readEnvFile, // before env, which is stronger
	"env":                  (*siteDraft).readEnv,
	"user":                 (*siteDraft).readIdentity,
	"group":                nil, // user
	"supplementary_groups": nil, // user
	"umask":                (*siteDraft).readUmask,
	"lang":                 func(d *siteDraft) { d.readLocale("lang", &d.Lang) },
	"locale":               func(d *siteDraft) { d.readLocale("locale", &d.Locale) },
	"processes":            (*siteDraft).readProcesses,
	"preload":              (*siteDraft).readPreload,
	"warmup":               (*siteDraft).readWarmup,
	"immortal":             (*siteDraft).readImmortal,
	"cpu_priority":         (*siteDraft).readCPUPriority,
	"stack_size":           (*siteDraft).readStackSize,
	"service":              (*siteDraft).readServices,
	"cron":                 (*siteDraft).readCron,
	"reload_on":            (*siteDraft).readReloadOn,
	"access_log":           (*siteDraft).readAccessLog,
	"redirects":            (*siteDraft).readRedirects,
	"headers":              (*siteDraft).readHeaders,
	"access":               (*siteDraft).readAccess,
	"rate_limit":           (*siteDraft).readRateLimit,
	"methods":              (*siteDraft).readMethods,
	"error_pages":          (*siteDraft).readErrorPages,
}

// readKeys reads those keys of d.table that want accepts.
func (d *siteDraft) readKeys(want func(key) bool) {
	for _, k := range siteKeys {
		if !want(k) {
			continue
		}
		read, special := siteReaders[k.name]
		switch {
		case !special:
			k.read(d.table, reflect.ValueOf(&d.Site).Elem())
		case read != nil:
			read(d)
		}
	}
}

func (d *siteDraft) readHome() {
	if d.table.Path("home", &d.Home) {
		checkDir(d.table, "home", d.Home)
	}
}

func (d *siteDraft) readProcesses() {
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

func (d *siteDraft) readRange(t *tomlfile.Table) {
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

func (d *siteDraft) readEnv() {
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

func (d *siteDraft) readMount() {
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

// urlPrefix returns prefix without its final slash, and whether it is one.
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
