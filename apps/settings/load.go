package settings

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the machine may have no time zone database

	"github.com/multisite/multisite/apps/tomlfile"
)

//go:embed builtin
var builtin embed.FS

// Options say what a settings file may refer to.
type Options struct {
	Apps     []string // names of all apps
	StateDir string   // directory of the database and the secret key of builtin settings
}

// Load reads a settings file, or builtin settings. The error is tomlfile.Problems.
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

// loader is one call of Load. It applies the files to the same settings: first the one
// that all others extend, last the one that Load was given.
type loader struct {
	opts     Options
	settings Settings          // what was read so far
	files    []*tomlfile.File  // those that could be read
	problems tomlfile.Problems // of files that could not be read
	urls     *tomlfile.Table   // table of settings.URLs
	apps     *tomlfile.Table   // table of settings.InstalledApps
}

// extend applies a file, after the one that it extends. It returns nil if the file cannot
// be read.
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

// dataPath reads the path of a file that the site writes. Those of builtin settings are in
// the state directory.
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

// relative returns the name of a settings file that another one refers to.
func relative(name string, file *tomlfile.File, other string) string {
	switch {
	case strings.HasPrefix(other, Builtin), filepath.IsAbs(other):
		return other
	case strings.HasPrefix(name, Builtin):
		return Builtin + other
	}
	return filepath.Join(file.Dir(), other)
}

// absolute returns an absolute path. If the current directory was deleted it returns the
// path unchanged, and the attempt to open the file reports that.
func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

func asProblems(name string, err error) tomlfile.Problems {
	if problems, ok := errors.AsType[tomlfile.Problems](err); ok {
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
