package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// installed is a project with its virtual environment and its database, as later runs
// find it again.
type installed struct {
	published
	source string // its code in the repository
	python string // interpreter of the virtual environment
	data   string // directory of its database
}

// install makes the virtual environment and the database, unless an earlier run has.
// pretix's database takes minutes.
func (b *bench) install(ctx context.Context, k published, base string) (*installed, error) {
	at := filepath.Join(b.module, "cmd", "bench", "projects", k.name)
	in := &installed{published: k, source: at}
	if k.source != "" {
		in.source = filepath.Join(b.module, k.source)
	}
	version, err := pythonVersion(ctx, base)
	if err != nil {
		return nil, err
	}
	sum, err := sumOf(at)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "multisite-bench", k.name+"-"+version+"-"+sum)
	in.python, in.data = filepath.Join(dir, "venv", "bin", "python3"), filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
		return in, nil
	}
	b.say("%s: installing into %s", k.name, dir)
	if err := in.make(ctx, b, base, dir, at); err != nil {
		return nil, fmt.Errorf("install %s: %w", k.name, err)
	}
	return in, os.WriteFile(filepath.Join(dir, "ready"), nil, 0o644)
}

func (in *installed) make(ctx context.Context, b *bench, base, dir, requirements string) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(in.data, 0o755)); err != nil {
		return err
	}
	if err := in.makeVenv(ctx, b, base, dir, filepath.Join(requirements, "requirements.txt")); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(in.source, "make_data.py")); err != nil {
		return nil
	}
	if in.redis {
		stop, err := startRedis(in.data)
		if err != nil {
			return err
		}
		defer stop()
	}
	return in.run(ctx, in.python, "make_data.py")
}

// makeVenv makes the virtual environment. Debian's interpreters may come without pip: then
// that of the test project does it. uWSGI is compiled, and left out where that fails.
func (in *installed) makeVenv(ctx context.Context, b *bench, base, dir, requirements string) error {
	venv := filepath.Join(dir, "venv")
	pip := []string{in.python, "-m", "pip"}
	if err := in.run(ctx, base, "-m", "venv", venv); err != nil {
		if err := in.run(ctx, base, "-m", "venv", "--clear", "--without-pip", venv); err != nil {
			return err
		}
		pip = []string{filepath.Join(b.module, defaultPython), "-m", "pip", "--python", in.python}
	}
	text, err := os.ReadFile(requirements)
	if err != nil {
		return err
	}
	var packages, compiled []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "uWSGI"):
			compiled = append(compiled, line)
		default:
			packages = append(packages, line)
		}
	}
	pip = append(pip, "install", "--quiet", "--disable-pip-version-check")
	if err := in.run(ctx, append(pip, packages...)...); err != nil {
		return err
	}
	if err := in.run(ctx, append(pip, compiled...)...); err != nil {
		b.say("%s: no uWSGI: %v", in.name, err)
	}
	return nil
}

// run runs a step of the installation.
func (in *installed) run(ctx context.Context, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = in.source
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=.", "BENCH_DATA="+in.data)
	if in.settings != "" {
		cmd.Env = append(cmd.Env, "DJANGO_SETTINGS_MODULE="+fmt.Sprintf(in.settings, 1))
	}
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
	}
	return nil
}

// copy returns a copy with a fresh database, for one contender.
func (b *bench) copyOf(ctx context.Context, in *installed) (*project, error) {
	dir, err := b.newDir()
	if err != nil {
		return nil, err
	}
	p := &project{dir: filepath.Join(dir, "code"), python: in.python}
	data := filepath.Join(dir, "data")
	if err := errors.Join(copyTree(p.dir, in.source), os.CopyFS(data, os.DirFS(in.data))); err != nil {
		return nil, err
	}
	p.env = []string{"BENCH_DATA=" + data}
	if in.name == "article" {
		db, err := os.ReadFile(filepath.Join(in.source, "test.sqlite3"))
		if err != nil {
			return nil, fmt.Errorf("%w; run: make test", err)
		}
		if err := os.WriteFile(filepath.Join(p.dir, "db.sqlite3"), db, 0o644); err != nil {
			return nil, err
		}
	}
	const ask = `import compileall, importlib.metadata, platform, sys, sysconfig
compileall.compile_dir(sys.argv[1], quiet=2)
print(sysconfig.get_path("purelib"))
print("Python " + platform.python_version() + ", " + sys.argv[2] + " " + importlib.metadata.version(sys.argv[2]))`
	out, err := exec.CommandContext(ctx, in.python, "-c", ask, p.dir, in.packages).Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its packages: %w%s", in.python, err, stderrOf(err))
	}
	p.packages, p.version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return p, nil
}

func pythonVersion(ctx context.Context, python string) (string, error) {
	out, err := exec.CommandContext(ctx, python, "-c", "import platform; print(platform.python_version())").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w%s", python, err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// sumOf returns a short checksum of the files in a directory.
func sumOf(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".pyc") {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path) // path is below dir; where the clone is does not matter
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil)[:4]), err
}
