package settings

import (
	"embed"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a fresh machine may have no time zones

	"github.com/multisite/multisite/apps/tomlfile"
)

//go:embed builtin
var builtin embed.FS

// Options say what a settings file may refer to.
type Options struct {
	Apps     []string // the names of the apps there are
	StateDir string   // where builtin settings keep database and secret
}

// Load reads the settings file at path, or one of the builtin ones. The error
// is a tomlfile.Problems.
func Load(name string, opts Options) (Settings, error) {
	l := &loader{opts: opts, settings: Settings{Zone: time.UTC}}
	if builtin, ok := strings.CutPrefix(name, Builtin); ok && path.Ext(builtin) == "" {
		name += ".toml"
	}
	leaf := l.extend(name)
	if leaf != nil {
		l.check(leaf)
	}
	problems := l.problems
	for _, file := range l.files {
		problems = append(problems, file.Problems()...)
	}
	return l.settings, problems.Err()
}

// loader applies one file after the other to the same settings, the one that
// all others extend first.
type loader struct {
	opts     Options
	settings Settings
	files    []*tomlfile.File
	problems tomlfile.Problems
	urls     *tomlfile.Table // where the URLs that count were written
	apps     *tomlfile.Table // where installed_apps that counts was written
}

// extend reads the file, after the one it extends. It returns nil when the
// file cannot be read at all.
func (l *loader) extend(name string) *tomlfile.Table {
	file := l.read(name)
	if file == nil {
		return nil
	}
	top := file.Root()
	var parent string
	if top.String("extends", &parent) {
		parent = relative(name, file, parent)
		if at := slices.Index(l.settings.Files, parent); at >= 0 {
			circle := append(slices.Clone(l.settings.Files[at:]), parent)
			for i := range circle {
				circle[i] = filepath.Base(circle[i])
			}
			top.Problem("extends", "goes in a circle: "+strings.Join(circle, " → "), "")
		} else {
			l.extend(parent)
		}
	}
	l.apply(name, file, top)
	return top
}

func (l *loader) read(name string) *tomlfile.File {
	var file *tomlfile.File
	var err error
	if inside, ok := strings.CutPrefix(name, Builtin); ok {
		var data []byte
		data, err = builtin.ReadFile(path.Join("builtin", inside))
		if err != nil {
			l.problems = append(l.problems, noBuiltin(name))
			return nil
		}
		file, err = tomlfile.Parse(name, data)
	} else {
		file, err = tomlfile.Read(name)
		name = absolute(name)
	}
	l.settings.Files = append(l.settings.Files, name)
	if err != nil {
		l.problems = append(l.problems, asProblems(name, err)...)
		return nil
	}
	l.files = append(l.files, file)
	return file
}

func (l *loader) apply(name string, file *tomlfile.File, top *tomlfile.Table) {
	s := &l.settings
	id := int(s.SiteID)
	if top.Int("site_id", &id, 1) {
		s.SiteID = int64(id)
	}
	if top.Strings("installed_apps", &s.InstalledApps) {
		l.apps = top
	}
	l.dataPath(name, file, top, "database", &s.Database)
	l.dataPath(name, file, top, "secret_key_file", &s.SecretKeyFile)
	if top.Strings("allowed_hosts", &s.AllowedHosts) {
		for i, host := range s.AllowedHosts {
			s.AllowedHosts[i] = strings.TrimSuffix(strings.ToLower(host), ".")
		}
	}
	top.Bool("debug", &s.Debug)
	var zone string
	if top.String("time_zone", &zone) {
		location, err := time.LoadLocation(zone)
		if err != nil || zone == "" || zone == "Local" {
			top.Problem("time_zone", fmt.Sprintf("there is no time zone %q", zone), `name one as in "Europe/Berlin", or "UTC"`)
			location = time.UTC
		}
		s.Zone = location
	}
	l.urlconf(name, file, top)
}

// dataPath reads the path of a file that the site writes. Nothing can be
// written beside builtin settings, so theirs stand in the state directory.
func (l *loader) dataPath(name string, file *tomlfile.File, top *tomlfile.Table, key string, to *string) {
	var value string
	if !top.String(key, &value) {
		return
	}
	if value == "" {
		top.Problem(key, "must name a file", "")
	}
	dir := file.Dir()
	if strings.HasPrefix(name, Builtin) {
		dir = absolute(l.opts.StateDir)
	}
	if !filepath.IsAbs(value) {
		value = filepath.Join(dir, value)
	}
	*to = value
}

// relative finds a settings file from the one that names it.
func relative(name string, file *tomlfile.File, other string) string {
	switch {
	case strings.HasPrefix(other, Builtin), filepath.IsAbs(other):
		return other
	case strings.HasPrefix(name, Builtin):
		return Builtin + other
	}
	return filepath.Join(file.Dir(), other)
}

// absolute falls back to the path as it is: then the current directory is
// gone, and opening the file says so.
func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

func asProblems(name string, err error) tomlfile.Problems {
	if problems, ok := err.(tomlfile.Problems); ok {
		return problems
	}
	return tomlfile.Problems{{Position: tomlfile.Position{File: name}, Message: err.Error()}}
}

func noBuiltin(name string) tomlfile.Problem {
	return tomlfile.Problem{
		Position: tomlfile.Position{File: name},
		Message:  "there are no such settings in this program",
		Hint:     "there are builtin:subdomain1 and builtin:subdomain2",
	}
}
