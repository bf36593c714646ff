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

// builtinPrefix marks settings that are embedded in this program: builtin:NAME.
const builtinPrefix = "builtin:"

// rawValue is a string that can only be understood once the whole site is known.
type rawValue struct {
	text  string
	table *tomlfile.Table // the table that has it: [site.NAME] or [defaults]
}

// rawString returns the value of a key, or nil if t does not have it.
func rawString(t *tomlfile.Table, key string) *rawValue {
	var text string
	if !t.String(key, &text) {
		return nil
	}
	return &rawValue{text, t}
}

// path returns the value as an absolute path.
func (v *rawValue) path() string { return v.table.Abs(v.text) }

// application is the three keys that say what a site runs; each may be nil.
type application struct{ settings, wsgi, app *rawValue }

// readApplication reads settings, wsgi and app. A table that names a Go program does
// not inherit a Python application, and the other way round.
func (d *siteDraft) readApplication() {
	t := d.table
	own := application{rawString(t, "settings"), rawString(t, "wsgi"), rawString(t, "app")}
	if key, message, hint := own.contradiction(); key != "" {
		t.Problem(key, message, hint)
	}
	if own.app != nil || own.settings.isTOML() {
		d.runs.wsgi = nil
		if !d.runs.settings.isTOML() || d.runs.settings.isBuiltin() {
			d.runs.settings = nil
		}
	}
	if own.wsgi != nil || own.settings.isModule() || own.settings.isBuiltin() {
		d.runs.app = nil
		if !d.runs.settings.isModule() {
			d.runs.settings = nil
		}
	}
	for _, key := range []struct{ to, own **rawValue }{
		{&d.runs.settings, &own.settings}, {&d.runs.wsgi, &own.wsgi}, {&d.runs.app, &own.app},
	} {
		if *key.own != nil {
			*key.to = *key.own
		}
	}
}

// contradiction returns a key that cannot stand beside the others, and why; "" if all can.
func (e application) contradiction() (key, message, hint string) {
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

func (v *rawValue) isBuiltin() bool { return v != nil && strings.HasPrefix(v.text, builtinPrefix) }

// isTOML reports whether v is the settings of a Go site.
func (v *rawValue) isTOML() bool {
	return v != nil && (filepath.Ext(v.text) == ".toml" || v.isBuiltin())
}

// isModule reports whether v is a Django settings module.
func (v *rawValue) isModule() bool { return v != nil && !v.isTOML() }

// finishSite sets what depends on several keys of a site, and checks it: its kind, its
// program, and the user that it runs as.
func (l *loader) finishSite(d *siteDraft) {
	e := d.runs
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
		d.table.Reject("a key of Python sites; this is a Go site", "", names(siteKeys, func(k key) bool { return !k.fitsKind(d.Kind) })...)
	}
	d.checkLimits()
	l.finishIdentity(d)
	d.finishRules()
	if d.Processes.Min < d.Processes.Max && d.InactivityTimeout == 0 {
		d.InactivityTimeout = idleByDefault
	}
	l.finishTasks(d)
}

// idleByDefault is the inactivity_timeout of a site with a range of processes.
const idleByDefault = 5 * time.Minute

var (
	dottedName = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)
	callable   = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*:[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)
)

// resolve returns the settings as the worker gets them.
func (v *rawValue) resolve() string {
	switch {
	case v.isBuiltin():
		if v.text == builtinPrefix {
			v.table.Problem("settings", "no name after builtin:", "")
		}
		return v.text
	case v.isTOML():
		checkFile(v.table, "settings", v.path())
		return v.path()
	case !dottedName.MatchString(v.text):
		v.table.Problem("settings", fmt.Sprintf("%q is not a Python module", v.text),
			`write a dotted name such as "project.settings", or the path of a .toml file`)
	}
	return v.text
}

// finishWSGI finds the interpreter and the script of a Python site.
func (l *loader) finishWSGI(d *siteDraft) {
	d.Python = l.findPython(d)
	if d.runs.wsgi != nil {
		d.WSGI = d.runs.wsgi.script(append([]string{d.Home}, d.PythonPath...))
	}
}

// script returns the path of the script that wsgi names, or "module:callable". A name
// without a slash is looked up in the directory of its TOML file and then in dirs.
func (v *rawValue) script(dirs []string) string {
	if strings.Contains(v.text, "/") {
		checkFile(v.table, "wsgi", v.path())
		return v.path()
	}
	for _, dir := range append([]string{v.table.Abs(".")}, dirs...) {
		path := filepath.Join(dir, v.text)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	if !callable.MatchString(v.text) {
		hint := `write the path of a script, or "module:callable"`
		if dottedName.MatchString(v.text) {
			hint = fmt.Sprintf(`is it a module? write "%s:application"`, v.text)
		}
		v.table.Problem("wsgi", fmt.Sprintf("there is no file %q beside %s, in home or in python_path", v.text, filepath.Base(v.table.Position().File)), hint)
	}
	return v.text
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

// isProgram reports whether path is a file that somebody may execute.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
