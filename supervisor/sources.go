package supervisor

import (
	"path/filepath"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
)

// placesOf returns where a site has its code.
func placesOf(c *config.Site) []code.Place {
	var places []code.Place
	for _, path := range []string{c.WSGI, c.App, c.Settings} {
		if filepath.IsAbs(path) {
			places = append(places, code.Place{Kind: code.File, Path: path})
		}
	}
	if c.Kind != config.WSGI {
		return places
	}
	places = append(places, code.Place{Kind: code.Interpreter, Path: c.Python})
	for _, dir := range c.PythonPath {
		places = append(places, code.Place{Kind: code.Directory, Path: dir})
	}
	if c.Home != "" {
		places = append(places, code.Place{Kind: code.Directory, Path: c.Home})
	}
	return places
}

// pathsOf returns where the directories of a site's code really are now.
func pathsOf(c *config.Site) code.Paths {
	dirs := append([]string{c.Home}, c.PythonPath...)
	for _, file := range []string{c.WSGI, c.App, c.Settings, c.Python} {
		dirs = append(dirs, filepath.Dir(file)) // links to files are not followed: Python finds a venv by the name of its interpreter
	}
	return code.ResolvePaths(dirs)
}

// lookAtCode returns a look that shares what has not changed with the running sites.
func (s *Supervisor) lookAtCode() *code.Look {
	var trees []code.Tree
	for _, t := range s.sites.all() {
		trees = append(trees, t.code())
	}
	return code.NewLook(trees...)
}

// code returns the code that the site's workers run.
func (t *site) code() code.Tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return nil
	}
	return t.current.code
}
