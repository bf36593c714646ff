package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func (d *siteDraft) readPythonHome() {
	if home := rawString(d.table, "python_home"); home != nil {
		d.python = home
	}
}

func (d *siteDraft) readPythonPath() {
	items, ok := d.table.Items("python_path")
	if !ok {
		return
	}
	d.PythonPath = make([]string, len(items))
	for i, item := range items {
		d.PythonPath[i] = d.table.Abs(item.Value)
		if _, err := os.Stat(d.PythonPath[i]); err != nil { // a .zip file is allowed as well
			d.table.ProblemAt(item.Position, "python_path", "no such directory: "+d.PythonPath[i], "")
		}
	}
}

// findPython returns the path of a site's interpreter. It does not resolve symbolic
// links: Python finds its virtual environment by the path that it is started with.
func (l *loader) findPython(d *siteDraft) string {
	if d.python != nil {
		path, message := interpreter(d.python.path())
		if message != "" {
			d.python.table.Problem("python_home", message, "name a virtual environment, a prefix with bin/python3, or an interpreter")
		}
		return path
	}
	venvs := []string{filepath.Join(l.config.Dir, ".venv"), filepath.Join(l.config.Dir, "venv")}
	for _, home := range venvs {
		if _, err := os.Stat(home); err != nil {
			continue
		}
		// A broken environment is an error: another Python would lack its packages.
		path, message := interpreter(home)
		if message != "" {
			d.table.Problem("python_home", message, "make it again: python3 -m venv --clear "+home)
		}
		return path
	}
	for _, dir := range l.search {
		if path := filepath.Join(dir, "python3"); filepath.IsAbs(path) && isProgram(path) {
			return path
		}
	}
	d.table.Problem("python_home", "no Python: looked for "+strings.Join(venvs, ", ")+" and python3 in PATH",
		"name a virtual environment, a prefix with bin/python3, or an interpreter")
	return ""
}

// interpreter returns the program that python_home means, or what is wrong with it.
func interpreter(home string) (path, message string) {
	info, err := os.Stat(home)
	if err != nil {
		return "", "no such directory or interpreter: " + home
	}
	if !info.IsDir() {
		if !isProgram(home) {
			return "", "not a program: " + home
		}
		return home, ""
	}
	candidates := []string{filepath.Join(home, "bin/python3"), filepath.Join(home, "bin/python")}
	if i := slices.IndexFunc(candidates, isProgram); i >= 0 {
		return candidates[i], ""
	}
	return "", "no interpreter: looked for " + strings.Join(candidates, " and ")
}
