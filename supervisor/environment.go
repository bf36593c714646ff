package supervisor

import (
	"cmp"
	"os"
	"slices"

	"github.com/multisite/multisite/supervisor/config"
)

// inherited are the variables that a site gets from the supervisor's own
// environment. Everything else is said in sites.toml: a secret of one site never
// reaches another.
var inherited = []string{"PATH", "TZ"}

// personal are those that a site gets only as long as its user is the supervisor's.
var personal = []string{"HOME", "USER", "LOGNAME", "SHELL", "TMPDIR"}

// environment is the whole environment of a site's workers. The locale is
// C.UTF-8 unless the site says otherwise: never the C of a system service.
func environment(c *config.Site) []string {
	env := map[string]string{"LANG": cmp.Or(c.Lang, "C.UTF-8")}
	if c.Locale != "" {
		env["LC_ALL"] = c.Locale
	}
	names := slices.Concat(inherited, personal)
	if a := c.Account; a != nil {
		names = inherited
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
