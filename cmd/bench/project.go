package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// project is a copy of the article's Django project, and the Python that runs it.
type project struct {
	dir      string
	python   string   // interpreter
	packages string   // the directory with its Django
	version  string   // "Python 3.11.2, Django 5.2.1"
	env      []string // more variables for the environment of its processes, NAME=VALUE
}

// newProject copies the project with the test database and compiles it, so that no
// contender pays for being the first to import it.
func (b *bench) newProject(ctx context.Context, python string) (*project, error) {
	dir, err := os.MkdirTemp(b.tmp, "django-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	p := &project{dir: dir, python: python}
	source := filepath.Join(b.module, "testdata", "django")
	if err := copyTree(dir, source); err != nil {
		return nil, fmt.Errorf("copy the project: %w", err)
	}
	db, err := os.ReadFile(filepath.Join(source, "test.sqlite3"))
	if err != nil {
		return nil, fmt.Errorf("%w; run: make test.sqlite3 by make test", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db.sqlite3"), db, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "rows.py"), []byte(rowsPy), 0o644); err != nil {
		return nil, err
	}
	const ask = `import compileall, os, platform, sys, django
compileall.compile_dir(sys.argv[1], quiet=2)
print(os.path.dirname(django.__path__[0]))
print("Python " + platform.python_version() + ", Django " + django.get_version())`
	out, err := exec.CommandContext(ctx, python, "-c", ask, dir).Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its Django: %w%s", python, err, stderrOf(err))
	}
	p.packages, p.version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return p, nil
}

// change changes the code, but not what it does.
func (p *project) change() error {
	f, err := os.OpenFile(filepath.Join(p.dir, "wsgi.py"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("# changed\n")
	return errors.Join(err, f.Close())
}

// copyTree copies code, without databases, virtual environments and compiled files.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && rel != "." && (strings.HasPrefix(name, ".") || name == "__pycache__" || name == "broken"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case strings.Contains(name, ".sqlite3") || !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
}

// stderrOf returns the standard error of a failed command, on a new line.
func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "\n" + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}
