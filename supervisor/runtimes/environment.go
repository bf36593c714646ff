package runtimes

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/config"
)

// shared are the variables that a site gets from the supervisor's environment. Others
// come only from sites.toml, so that no secret of one site reaches another.
var shared = []string{"PATH", "TZ"}

// personal are the variables that a site gets as well if its user is the supervisor's.
var personal = []string{"HOME", "USER", "LOGNAME", "SHELL", "TMPDIR"}

// Environment returns the whole environment of a site's workers. The locale is C.UTF-8
// unless the site sets one, never the C of a system service.
func Environment(c *config.Site) []string {
	env := map[string]string{"LANG": cmp.Or(c.Lang, "C.UTF-8")}
	if c.Locale != "" {
		env["LC_ALL"] = c.Locale
	}
	names := slices.Concat(shared, personal)
	if a := c.Account; a != nil {
		names = shared
		env["HOME"], env["USER"], env["LOGNAME"] = a.Home, a.Name, a.Name
	}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	for name, value := range c.Env {
		env[name] = value
	}
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// TaskEnvironment returns the environment of a site's services and cron entries: that
// of its workers, with what a Python worker gets in another way, its interpreter, its
// path and its settings. at returns where a path of c is.
func TaskEnvironment(c *config.Site, at func(string) string, pythonPath []string) []string {
	env := Environment(c)
	if c.Kind != config.WSGI {
		return env
	}
	env = prepend(env, "PATH", filepath.Dir(at(c.Python)))
	env = prepend(env, "PYTHONPATH", append(slices.Clone(pythonPath), at(c.Home))...)
	if c.Settings != "" {
		env = append(env, "DJANGO_SETTINGS_MODULE="+c.Settings)
	}
	return append(env, "PYTHONUNBUFFERED=1") // what it prints is in the log at once
}

// prepend puts directories before those of a variable.
func prepend(env []string, name string, dirs ...string) []string {
	i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if i < 0 {
		return append(env, name+"="+strings.Join(dirs, ":"))
	}
	env[i] = name + "=" + strings.Join(append(dirs, strings.TrimPrefix(env[i], name+"=")), ":")
	return env
}
