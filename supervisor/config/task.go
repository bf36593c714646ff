package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/cron"
)

// Service is a process that always runs beside the workers of a site.
type Service struct {
	Name    string
	Command Command `toml:"command" type:"string, or list" default:"(required)" live:"yes" affects:"task"`
	Stop    Stop    `live:"yes" affects:"task"`
	// Overlap reports whether the new process of a reload or restart starts while the old
	// one finishes its work.
	Overlap bool `toml:"overlap" default:"false" live:"yes" affects:"task"`
}

// Cron is a command that a site runs on a schedule.
type Cron struct {
	Name     string
	Schedule cron.Schedule `toml:"schedule" type:"five fields, or a word such as @daily" default:"(required)" live:"yes" affects:"task"`
	Command  Command       `toml:"command" type:"string, or list" default:"(required)" live:"yes" affects:"task"`
	Stop     Stop          `live:"yes" affects:"task"`
}

// Stop says how a process of a service or cron entry is stopped.
type Stop struct {
	// Timeout is the time from Signal to SIGKILL; 0 is the graceful_timeout of the site.
	Timeout time.Duration `toml:"stop_timeout" default:"(graceful_timeout)" nonzero:"yes"`
	// Signal tells the process to finish its work and exit.
	Signal syscall.Signal `toml:"stop_signal" type:"name of a signal" default:"TERM"`
}

// Command is a program and its arguments.
type Command struct {
	Path string   // absolute
	Args []string // as written; the first is the program's name
}

// task is a service or cron entry while its site is read.
type task struct {
	table    *tomlfile.Table // where it stands
	schedule cron.Schedule   // of a cron entry only
	args     []string        // of the command; none after a mistake, which was reported
	stop     Stop
	overlap  bool // of a service only
}

var taskName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// readServices reads [site.NAME.service]. It replaces as a whole what [defaults] has
// under the same name, as readCron does.
func (d *siteDraft) readServices() {
	for name, service := range readEach(d.table.Table("service"), d.services) {
		service.table.Bool("overlap", &service.overlap)
		d.services[name] = service
	}
}

func (d *siteDraft) readCron() {
	for name, entry := range readEach(d.table.Table("cron"), d.cron) {
		entry.readSchedule()
		d.cron[name] = entry
	}
}

// readEach adds each task in t to into, and returns only those in t.
func readEach(t *tomlfile.Table, into map[string]task) map[string]task {
	own := map[string]task{}
	for _, name := range t.Names() {
		if !taskName.MatchString(name) {
			t.Problem(name, "not a name", `use letters, digits, "-" and "_"`)
		}
		k := task{table: t.Table(name)}
		if _, ok := t.Value(name).(map[string]any); !ok {
			continue // t.Table has reported it
		}
		k.readCommand()
		k.readStop()
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

// stopSignals are the signals that a process can handle and that may mean to it that it
// should exit.
var stopSignals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "HUP": syscall.SIGHUP, "ABRT": syscall.SIGABRT,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH, "ALRM": syscall.SIGALRM, "PWR": syscall.SIGPWR,
}

// readStop reads stop_timeout and stop_signal.
func (k *task) readStop() {
	t := k.table
	if t.Duration("stop_timeout", &k.stop.Timeout) && k.stop.Timeout == 0 {
		t.Problem("stop_timeout", "must be longer than 0s", "")
	}
	name := "TERM"
	if !t.String("stop_signal", &name) && t.Has("stop_signal") {
		return // it was reported
	}
	var known bool
	if k.stop.Signal, known = stopSignals[strings.TrimPrefix(name, "SIG")]; !known {
		t.Problem("stop_signal", fmt.Sprintf("%q is no signal that stops a process", name), "use one of "+strings.Join(slices.Sorted(maps.Keys(stopSignals)), ", "))
	}
}

// readCommand reads a list of arguments, or a string that is split into them.
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
		args, problem, hint := splitCommand(text)
		if problem != "" {
			t.Problem("command", problem, hint)
			return
		}
		k.args = args
	default:
		for _, item := range items {
			k.args = append(k.args, item.Value)
		}
	}
	if len(k.args) == 0 || k.args[0] == "" {
		t.Problem("command", "must name a program", "")
		k.args = nil
	}
	if strings.Contains(strings.Join(k.args, ""), "\x00") {
		t.Problem("command", "not possible in a command line", "")
	}
}

// finishTasks sets Services and Cron once it is known where their programs are.
func (l *loader) finishTasks(d *siteDraft) {
	for _, name := range slices.Sorted(maps.Keys(d.services)) {
		d.Services = append(d.Services, Service{name, l.command(d, d.services[name]), d.services[name].stop, d.services[name].overlap})
	}
	for _, name := range slices.Sorted(maps.Keys(d.cron)) {
		d.Cron = append(d.Cron, Cron{name, d.cron[name].schedule, l.command(d, d.cron[name]), d.cron[name].stop})
	}
}

// command finds the program of a task. A name with a slash is relative to home; one
// without is looked up in the directory of the site's interpreter and in its PATH.
func (l *loader) command(d *siteDraft, k task) Command {
	if len(k.args) == 0 {
		return Command{}
	}
	name := k.args[0]
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(d.Home, path)
		}
		checkProgram(k.table, "command", path)
		return Command{path, k.args}
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
			return Command{path, k.args}
		}
	}
	where := "in PATH"
	if len(dirs) > 0 {
		where = "in " + cmp.Or(dirs[0], ".") + " or in PATH"
	}
	k.table.Problem("command", fmt.Sprintf("there is no program %q %s", name, where), "")
	return Command{}
}
