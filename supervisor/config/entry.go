package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
)

// builtinPrefix marks settings that are embedded in the program: builtin:NAME.
const builtinPrefix = "builtin:"

// said is a value that can only be checked once the whole site is known.
type said struct {
	value string
	table *tomlfile.Table // [site.NAME] or [defaults]: whichever says it
}

func say(t *tomlfile.Table, name string) *said {
	var value string
	if !t.String(name, &value) {
		return nil
	}
	return &said{value, t}
}

// path returns the value as a path, relative to the file that says it.
func (s *said) path() string { return s.table.Abs(s.value) }

// entry is the three keys that say what a site runs.
type entry struct{ settings, wsgi, app *said }

// readEntry puts what the table says over what is inherited. A table that names
// a Go program drops an inherited Python application, and the other way round.
func (d *draft) readEntry() {
	t := d.table
	own := entry{say(t, "settings"), say(t, "wsgi"), say(t, "app")}
	if key, message, hint := own.contradiction(); key != "" {
		t.Problem(key, message, hint)
	}
	if own.app != nil || own.settings.isTOML() {
		d.entry.wsgi = nil
		if !d.entry.settings.isTOML() || d.entry.settings.isBuiltin() {
			d.entry.settings = nil
		}
	}
	if own.wsgi != nil || own.settings.isModule() || own.settings.isBuiltin() {
		d.entry.app = nil
		if !d.entry.settings.isModule() {
			d.entry.settings = nil
		}
	}
	for _, key := range []struct{ to, own **said }{
		{&d.entry.settings, &own.settings}, {&d.entry.wsgi, &own.wsgi}, {&d.entry.app, &own.app},
	} {
		if *key.own != nil {
			*key.to = *key.own
		}
	}
}

// contradiction returns the key that cannot stand beside the others.
func (e entry) contradiction() (key, message, hint string) {
	switch {
	case e.app != nil && e.wsgi != nil:
		return "app", "a site has either app or wsgi, not both", "app is a Go program, wsgi a Python application"
	case e.app != nil && e.settings.isModule():
		return "app", "a site with app has no Python settings", "its settings may be a .toml file"
	case e.app != nil && e.settings.isBuiltin():
		return "app", "a site with app has no builtin settings", "its settings may be a .toml file"
	case e.wsgi != nil && e.settings.isTOML():
		return "wsgi", "a site with wsgi has no TOML settings", `its settings are a Python module such as "project.settings"`
	}
	return "", "", ""
}

func (s *said) isBuiltin() bool { return s != nil && strings.HasPrefix(s.value, builtinPrefix) }

// isTOML tells whether these are the settings of a Go site.
func (s *said) isTOML() bool {
	return s != nil && (filepath.Ext(s.value) == ".toml" || s.isBuiltin())
}

// isModule tells whether these are Django settings.
func (s *said) isModule() bool { return s != nil && !s.isTOML() }

// finishSite finds out what the site runs, and checks that it is there.
func (l *loader) finishSite(d *draft) {
	e := d.entry
	switch {
	case e.app != nil:
		d.Kind, d.App = App, e.app.path()
		checkProgram(e.app.table, "app", d.App)
	case e.settings.isTOML():
		d.Kind = Apps
	case e.wsgi != nil || e.settings != nil:
		d.Kind = WSGI
		l.finishWSGI(d)
	default:
		d.table.Problem("settings", "missing: the site has nothing to run", "write settings, wsgi or app")
		return
	}
	if e.settings != nil {
		d.Settings = e.settings.resolve()
	}
	if d.Threads == 0 {
		d.Threads = map[Kind]int{WSGI: 1, Apps: 100, App: 100}[d.Kind]
	}
	if d.Kind != WSGI {
		d.table.Reject("a key of Python sites; this is a Go site", "", append([]string{"python_home", "python_path", "stack_size"}, preloadKeys...)...)
	}
	d.checkLimits()
	l.finishIdentity(d)
	if d.Processes.Min < d.Processes.Max && d.InactivityTimeout == 0 {
		d.InactivityTimeout = idleByDefault
	}
	l.finishTasks(d)
}

// idleByDefault is when a site with a range of processes gives one up, unless
// inactivity_timeout says otherwise.
const idleByDefault = 5 * time.Minute

var (
	dottedName = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)
	callable   = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*:[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)
)

// resolve returns the settings as the worker gets them.
func (s *said) resolve() string {
	switch {
	case s.isBuiltin():
		if s.value == builtinPrefix {
			s.table.Problem("settings", "no name after builtin:", "")
		}
		return s.value
	case s.isTOML():
		checkFile(s.table, "settings", s.path())
		return s.path()
	case !dottedName.MatchString(s.value):
		s.table.Problem("settings", fmt.Sprintf("%q is not a Python module", s.value),
			`write a dotted name such as "project.settings", or the path of a .toml file`)
	}
	return s.value
}

// finishWSGI finds the interpreter and the entry of a Python site.
func (l *loader) finishWSGI(d *draft) {
	d.Python = l.findPython(d)
	if d.entry.wsgi != nil {
		d.WSGI = d.entry.wsgi.script(append([]string{d.Home}, d.PythonPath...))
	}
}

// script returns the script that wsgi names, or "module:callable". A name without
// a slash is looked for beside the file that says it and then in dirs.
func (s *said) script(dirs []string) string {
	if strings.Contains(s.value, "/") {
		checkFile(s.table, "wsgi", s.path())
		return s.path()
	}
	for _, dir := range append([]string{s.table.Abs(".")}, dirs...) {
		path := filepath.Join(dir, s.value)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	if !callable.MatchString(s.value) {
		hint := `write the path of a script, or "module:callable"`
		if dottedName.MatchString(s.value) {
			hint = fmt.Sprintf(`is it a module? write "%s:application"`, s.value)
		}
		s.table.Problem("wsgi", fmt.Sprintf("there is no file %q beside %s, in home or in python_path", s.value, filepath.Base(s.table.Position().File)), hint)
	}
	return s.value
}

func checkFile(t *tomlfile.Table, name, path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		t.Problem(name, "no such file: "+path, "")
	case !info.Mode().IsRegular():
		t.Problem(name, "not a file: "+path, "")
	}
}

func checkProgram(t *tomlfile.Table, name, path string) {
	checkFile(t, name, path)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !isProgram(path) {
		t.Problem(name, "not a program: "+path, "chmod +x "+path)
	}
}

// isProgram tells whether path can be executed.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
