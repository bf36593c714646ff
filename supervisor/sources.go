package supervisor

import (
	"os"
	"path/filepath"

	"github.com/multisite/multisite/supervisor/config"
)

// sources are where the directories of a generation's code really were when it was
// made, by their names in sites.toml. Where a link among them leads to later (current ->
// releases/7) is the next generation's: all workers of one run the same code.
type sources map[string]string

func sourcesOf(c *config.Site) sources {
	dirs := append([]string{c.Home}, c.PythonPath...)
	for _, file := range []string{c.WSGI, c.App, c.Settings, c.Python} {
		dirs = append(dirs, filepath.Dir(file)) // its own name stays: a venv is found by that of its interpreter
	}
	s := sources{}
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir && filepath.IsAbs(dir) {
			s[dir] = real
		}
	}
	return s
}

// at returns where a path of sites.toml led to. When that is gone it is what it leads to now:
// the new code, rather than none.
func (s sources) at(path string) string {
	real, known := s[path]
	if !known {
		if real, known = s[filepath.Dir(path)]; known {
			real = filepath.Join(real, filepath.Base(path))
		}
	}
	if !known {
		return path
	}
	if _, err := os.Stat(real); err != nil {
		return path
	}
	return real
}

func (s sources) all(paths []string) []string {
	var at []string
	for _, path := range paths {
		at = append(at, s.at(path))
	}
	return at
}
