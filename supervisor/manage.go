package supervisor

import (
	"path/filepath"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/worker/wsgi"
)

// ManagePython replaces this process by Django's manage.py machinery for a Python
// site. It needs no running supervisor. It returns only with an error.
func ManagePython(stateDir string, c *config.Site, args []string) error {
	t := &site{name: c.Name, super: &Supervisor{dirs: directories{state: stateDir}}}
	return wsgi.Manage(t.wsgiOptions(c, &generation{sockets: filepath.Join(stateDir, statedir.RunDir)}, func() *config.Site { return c }, nil), args)
}
