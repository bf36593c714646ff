package wsgi

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Manage replaces this process by Django's manage.py machinery, with the site's
// interpreter, path, settings, environment and user. It returns only with an error.
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
	env := append(o.Env, terminal()...)
	return fmt.Errorf("run %s: %w", o.Python, unix.Exec(o.Python, argv, env))
}

// terminal is what an interactive program needs to know of its terminal.
func terminal() []string {
	var env []string
	for _, name := range []string{"TERM", "COLORTERM", "NO_COLOR", "EDITOR", "PAGER"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
