package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/cron"
)

// Service is a process that runs beside the web workers of a site, always.
type Service struct {
	Name    string
	Command Command
}

// Cron is a command that a site runs on a schedule.
type Cron struct {
	Name     string
	Schedule cron.Schedule
	Command  Command
}

// Command is a program and its arguments.
type Command struct {
	Path string   // absolute
	Args []string // as they are written, the program's name first
}

// task is a service, or with a schedule a cron entry, while its site is read.
type task struct {
	table    *tomlfile.Table
	schedule cron.Schedule
	words    []string // none: a mistake that was reported
}

var taskName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// readTasks reads [site.NAME.service.NAME] and [site.NAME.cron]. One of the same
// name in [defaults] is replaced as a whole.
func (d *draft) readTasks() {
	readEach(d.table.Table("service"), d.services)
	for name, entry := range readEach(d.table.Table("cron"), d.cron) {
		entry.readSchedule()
		d.cron[name] = entry
	}
}

func readEach(t *tomlfile.Table, into map[string]task) map[string]task {
	own := map[string]task{}
	for _, name := range t.Names() {
		if !taskName.MatchString(name) {
			t.Problem(name, "not a name", `use letters, digits, "-" and "_"`)
		}
		k := task{table: t.Table(name)}
		if _, ok := t.Value(name).(map[string]any); !ok {
			continue // which Table has reported
		}
		k.readCommand()
		into[name], own[name] = k, k
	}
	return own
}

func (k *task) readSchedule() {
	var text string
	if !k.table.String("schedule", &text) {
		if !k.table.Has("schedule") {
			k.table.Problem("schedule", "missing", `write one such as "*/5 * * * *" or "@daily"`)
		}
		return
	}
	var err error
	if k.schedule, err = cron.Parse(text); err != nil {
		k.table.Problem("schedule", err.Error(), "")
	}
}

// readCommand takes a list, or a string that is split into words.
func (k *task) readCommand() {
	t := k.table
	text, isString := t.Value("command").(string)
	items, ok := t.Items("command")
	switch {
	case !t.Has("command"):
		t.Problem("command", "missing", `write a list such as ["celery", "-A", "project", "worker"], or a string`)
		return
	case !ok:
		return
	case isString:
		words, problem, hint := splitWords(text)
		if problem != "" {
			t.Problem("command", problem, hint)
			return
		}
		k.words = words
	default:
		for _, item := range items {
			k.words = append(k.words, item.Value)
		}
	}
	if len(k.words) == 0 || k.words[0] == "" {
		t.Problem("command", "must name a program", "")
		k.words = nil
	}
	if strings.Contains(strings.Join(k.words, ""), "\x00") {
		t.Problem("command", "not possible in a command line", "")
	}
}

// finishTasks finds the programs of a site's services and cron entries.
func (l *loader) finishTasks(d *draft) {
	for _, name := range slices.Sorted(maps.Keys(d.services)) {
		d.Services = append(d.Services, Service{name, l.command(d, d.services[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(d.cron)) {
		d.Cron = append(d.Cron, Cron{name, d.cron[name].schedule, l.command(d, d.cron[name])})
	}
}

// command finds a program as the site itself would: a name with a slash starts at
// home, another one is looked for beside the site's interpreter and in its PATH.
func (l *loader) command(d *draft, k task) Command {
	if len(k.words) == 0 {
		return Command{}
	}
	name := k.words[0]
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(d.Home, path)
		}
		checkProgram(k.table, "command", path)
		return Command{path, k.words}
	}
	var dirs []string
	if d.Python != "" {
		dirs = append(dirs, filepath.Dir(d.Python))
	}
	search := l.search
	if path, ok := d.Env["PATH"]; ok {
		search = filepath.SplitList(path)
	}
	for _, dir := range append(dirs, search...) {
		if path := filepath.Join(dir, name); filepath.IsAbs(path) && isProgram(path) {
			return Command{path, k.words}
		}
	}
	where := "in PATH"
	if len(dirs) > 0 {
		where = "in " + cmp.Or(dirs[0], ".") + " or in PATH"
	}
	k.table.Problem("command", fmt.Sprintf("there is no program %q %s", name, where), "")
	return Command{}
}
