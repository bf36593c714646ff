package wsgi

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPython runs the tests of the Python package with the project's interpreter and,
// if MULTISITE_LONG is set, with one interpreter of each other version on this machine.
// To run one module: cd worker/wsgi/python_test && python3 -m unittest test_shared
func TestPython(t *testing.T) {
	t.Parallel()
	python := venvPython(t)
	runPythonTests(t, python)
	if os.Getenv("MULTISITE_LONG") == "" {
		return
	}
	for _, python := range otherPythons(t, python) {
		runPythonTests(t, python)
	}
}

func runPythonTests(t *testing.T, python string) {
	t.Run(pythonVersion(python), func(t *testing.T) {
		cmd := exec.Command(python, "-m", "unittest", "discover", "-s", "python_test")
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "\nOK") {
			t.Errorf("%s: %v\n%s", python, err, out)
		}
	})
}

// otherPythons returns one interpreter of each other version that is on PATH or beside
// the project's interpreter.
func otherPythons(t *testing.T, known string) []string {
	t.Helper()
	seen := map[string]bool{pythonVersion(known): true, "": true}
	var found []string
	for _, minor := range []string{"9", "10", "11", "12", "13", "14"} {
		for _, path := range candidates(t, known, "python3."+minor) {
			if v := pythonVersion(path); !seen[v] {
				seen[v] = true
				found = append(found, path)
			}
		}
	}
	return found
}

func candidates(t *testing.T, known, name string) []string {
	t.Helper()
	var paths []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		paths = append(paths, filepath.Join(dir, name))
	}
	real, err := filepath.EvalSymlinks(known)
	if err != nil {
		t.Fatal(err)
	}
	installed := filepath.Dir(filepath.Dir(filepath.Dir(real))) // of VERSIONS/3.x.y/bin/python3.x
	beside, err := filepath.Glob(filepath.Join(installed, "*", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	return append(paths, beside...)
}

// pythonVersion returns a version like "3.12"; "": the program is no interpreter.
func pythonVersion(python string) string {
	out, err := exec.Command(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
