package supervisor

import (
	"os"
	"slices"

	"github.com/multisite/multisite/supervisor/config"
)

// inherited are the variables that a site gets from the supervisor's own
// environment. Everything else is said in sites.toml: a secret of one site never
// reaches another.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ"}

// environment is the whole environment of a site's workers. The locale is
// C.UTF-8 unless the site says otherwise: never the C of a system service.
func environment(c *config.Site) []string {
	env := map[string]string{"LANG": "C.UTF-8"}
	for _, name := range inherited {
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
