// Package warnings finds what works and was hardly intended: code that other users can
// change, sites that run as root, directories that do not exist yet.
package warnings

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/config"
)

// Of returns a sentence for each warning about what sites.toml says.
func Of(cfg *config.Config) []string {
	var warnings []string
	if names := RunAsRoot(cfg); names != "" {
		warnings = append(warnings, "these sites run as root, since they name no user: "+names)
	}
	for _, c := range cfg.Sites {
		warnings = append(warnings, missing(c.Name, "static", c.Static)...)
		warnings = append(warnings, missing(c.Name, "sendfile", c.Sendfile)...)
		if c.Account == nil {
			continue
		}
		for _, path := range codePaths(c) {
			if who := otherWriters(path); who != "" {
				warnings = append(warnings, fmt.Sprintf("site %s runs as %s, and %s may write %s", c.Name, c.Account.Name, who, path))
			}
		}
	}
	return warnings
}

// missing returns a warning for each path that is not there yet.
func missing(site, key string, paths map[string]string) (warnings []string) {
	for _, prefix := range slices.Sorted(maps.Keys(paths)) {
		if _, err := os.Stat(paths[prefix]); errors.Is(err, fs.ErrNotExist) {
			warnings = append(warnings, fmt.Sprintf("site %s: %s: there is no %s yet: %s is 404 until there is", site, key, paths[prefix], prefix))
		}
	}
	return warnings
}

// maxNamed is how many sites a warning names.
const maxNamed = 10

// RunAsRoot returns the names of the sites that run as root; "" if none does.
func RunAsRoot(cfg *config.Config) string {
	if os.Geteuid() != 0 {
		return ""
	}
	var names []string
	for _, c := range cfg.Sites {
		if c.Account == nil {
			names = append(names, c.Name)
		}
	}
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// codePaths returns the files of a site's entry and settings, each followed by its
// directory, since a user who can write to the directory can replace the file.
func codePaths(c *config.Site) []string {
	var files []string
	for _, name := range []string{c.WSGI, c.App, c.Settings} {
		if !filepath.IsAbs(name) {
			name = findModule(c, name)
		}
		if name != "" {
			files = append(files, name, filepath.Dir(name))
		}
	}
	return files
}

// findModule returns the file of a Python module or "module:callable"; "" if it is not
// one of the project.
func findModule(c *config.Site, name string) string {
	module, _, _ := strings.Cut(name, ":")
	if c.Kind != config.WSGI || module == "" {
		return ""
	}
	path := strings.ReplaceAll(module, ".", "/")
	for _, dir := range append(c.PythonPath[:len(c.PythonPath):len(c.PythonPath)], c.Home) {
		for _, file := range []string{filepath.Join(dir, path, "__init__.py"), filepath.Join(dir, path+".py")} {
			if _, err := os.Stat(file); err == nil {
				return file
			}
		}
	}
	return "" // it is an installed package
}

// otherWriters returns who but its owner may write a file, or replace the files of a
// directory; "" if nobody may.
func otherWriters(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil, info.Mode()&fs.ModeSticky != 0:
		return ""
	case info.Mode()&0o002 != 0:
		return "everybody"
	case info.Mode()&0o020 != 0:
		return "its group"
	}
	return ""
}
