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

// Manage replaces this process by Django's management command with these arguments,
// run with the site's interpreter, path, settings, environment and user, and with
// the caller's variables that callersEnv allows. It returns only with an error.
// The command line contains nothing of the environment, since everybody can read it.
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
	env := callersEnv(o) // before this process becomes another user
	if !o.isCallers() {
		if err := detachTerminal(); err != nil {
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

// callersEnv returns the caller's environment, overridden by that of sites.toml.
// Settings, interpreter, path and locale always come from sites.toml (onlySites).
// Code that runs as another user gets none of the caller's secrets, but only the
// variables about the terminal and those of Django (DJANGO_SUPERUSER_PASSWORD).
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
		return !onlySites(name) && (o.isCallers() || strings.HasPrefix(name, "DJANGO_") || slices.Contains(terminal, name))
	})
	add(o.Env, func(string) bool { return true })
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// isCallers reports whether the site's processes belong to the caller. It must be
// called before this process becomes another user.
func (o Options) isCallers() bool { return o.Account == nil || o.Account.UID == os.Geteuid() }

// detachTerminal gives up the controlling terminal. Otherwise code of another user
// could insert input into it that the caller's shell would run next (TIOCSTI,
// ioctl_tty(2)). It can still read and write there, and Ctrl-C still ends it.
func detachTerminal() error {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil // there is none
	}
	defer tty.Close()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, unix.SIGHUP) // the kernel sends it to a session leader that gives the terminal up
	defer signal.Stop(hangup)
	if err := unix.IoctlSetInt(int(tty.Fd()), unix.TIOCNOTTY, 0); err != nil {
		return fmt.Errorf("give up the controlling terminal: %w", err)
	}
	return nil
}

// onlySites reports whether a variable is never taken from the caller.
func onlySites(name string) bool {
	switch name {
	case "DJANGO_SETTINGS_MODULE", "LANG", "LANGUAGE", "MULTISITE_LOCK", "VIRTUAL_ENV":
		return true
	}
	return strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "LC_")
}

// terminal are the variables that an interactive program reads about its terminal.
var terminal = []string{"TERM", "COLORTERM", "NO_COLOR", "EDITOR", "PAGER"}
