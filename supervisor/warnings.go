package supervisor

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

// Warnings tells of what works and is hardly meant: what a site of another user
// runs can be changed by more than its owner, what root runs is a site, and static
// files have no directory yet.
func Warnings(cfg *config.Config) []string {
	var warnings []string
	if names := runAsRoot(cfg); names != "" {
		warnings = append(warnings, "these sites run as root, since they name no user: "+names)
	}
	for _, c := range cfg.Sites {
		for _, prefix := range slices.Sorted(maps.Keys(c.Static)) {
			if _, err := os.Stat(c.Static[prefix]); errors.Is(err, fs.ErrNotExist) {
				warnings = append(warnings, fmt.Sprintf("site %s: static: there is no %s yet: %s is 404 until there is", c.Name, c.Static[prefix], prefix))
			}
		}
		if c.Account == nil {
			continue
		}
		for _, path := range whatRuns(c) {
			if who := whoElseWrites(path); who != "" {
				warnings = append(warnings, fmt.Sprintf("site %s runs as %s, and %s may write %s", c.Name, c.Account.Name, who, path))
			}
		}
	}
	return warnings
}

// mostNamed bounds how many sites a warning names.
const mostNamed = 10

// runAsRoot names the sites that do; "": none.
func runAsRoot(cfg *config.Config) string {
	if os.Geteuid() != 0 {
		return ""
	}
	var names []string
	for _, c := range cfg.Sites {
		if c.Account == nil {
			names = append(names, c.Name)
		}
	}
	if more := len(names) - mostNamed; more > 0 {
		names = append(names[:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// whatRuns returns the entry and the settings of a site, each followed by its
// directory: who may write there can put another file in its place.
func whatRuns(c *config.Site) []string {
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

// findModule returns the file of a Python module or "module:callable".
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
	return "" // installed somewhere
}

// whoElseWrites names who but the owner may write a file, or take it out of a
// directory and put in another.
func whoElseWrites(path string) string {
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
