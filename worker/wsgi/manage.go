package wsgi

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Manage replaces this process by Django's manage.py machinery, with the site's
// interpreter, path, settings, environment and user, and what the caller has set for
// it. It returns only with an error.
// Everybody can read the command line, so it holds nothing of the environment.
func Manage(o Options, args []string) error {
	code, err := installCode(o.CodeDir)
	if err != nil {
		return err
	}
	r := &Runtime{opts: o}
	conf, err := json.Marshal(r.config(o.Site))
	if err != nil {
		return err
	}
	env := callersEnv(o) // before we become another user
	if !o.isCallers() {
		if err := leaveTerminal(); err != nil {
			return err
		}
	}
	if o.Umask != nil {
		unix.Umask(*o.Umask)
	}
	if err := o.Account.Become(); err != nil {
		return err
	}
	if err := os.Chdir(o.Home); err != nil {
		return err
	}
	argv := append([]string{o.Python, code, "manage", string(conf)}, args...)
	return fmt.Errorf("run %s: %w", o.Python, unix.Exec(o.Python, argv, env))
}

// callersEnv is what the caller has in his environment, under what sites.toml says.
// Which settings, which interpreter, which path and which locale is for sites.toml
// alone to say. Code of another user gets none of the caller's secrets: of him it has
// what his terminal is, and what Django reads (DJANGO_SUPERUSER_PASSWORD).
func callersEnv(o Options) []string {
	env := map[string]string{}
	add := func(list []string, want func(name string) bool) {
		for _, v := range list {
			if name, value, _ := strings.Cut(v, "="); want(name) {
				env[name] = value
			}
		}
	}
	add(os.Environ(), func(name string) bool {
		return !sitesAlone(name) && (o.isCallers() || strings.HasPrefix(name, "DJANGO_") || slices.Contains(terminal, name))
	})
	add(o.Env, func(string) bool { return true })
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// isCallers tells whether the site's processes are the caller's own. It is asked before
// we become another user.
func (o Options) isCallers() bool { return o.Account == nil || o.Account.UID == os.Geteuid() }

// leaveTerminal makes the caller's terminal no longer the one that controls this process.
// Code of another user, which would type there what the caller's shell runs next, can
// not (TIOCSTI, ioctl_tty(2)). It still reads and writes there, and Ctrl-C still ends it.
func leaveTerminal() error {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil // there is none
	}
	defer tty.Close()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, unix.SIGHUP) // which the leader of a session gets for it
	defer signal.Stop(hangup)
	if err := unix.IoctlSetInt(int(tty.Fd()), unix.TIOCNOTTY, 0); err != nil {
		return fmt.Errorf("leave the terminal: %w", err)
	}
	return nil
}

// sitesAlone tells whether a variable is never the caller's.
func sitesAlone(name string) bool {
	switch name {
	case "DJANGO_SETTINGS_MODULE", "LANG", "LANGUAGE", "MULTISITE_LOCK", "VIRTUAL_ENV":
		return true
	}
	return strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "LC_")
}

// terminal is what an interactive program needs to know of its terminal.
var terminal = []string{"TERM", "COLORTERM", "NO_COLOR", "EDITOR", "PAGER"}
