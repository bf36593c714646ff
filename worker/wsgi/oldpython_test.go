package wsgi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/worker/process"
)

// TestLaunch_OldPython: an interpreter that is too old is refused in one line, by
// workers of their own and by forked ones.
func TestLaunch_OldPython(t *testing.T) {
	t.Parallel()
	pythons := map[string]string{"3.8": pretendPython(t, "3.8")}
	for _, version := range []string{"2.7", "3.6", "3.7"} {
		if path := installedPython(t, version); path != "" {
			pythons[version] = path
		}
	}
	for version, python := range pythons {
		for _, mode := range []Preload{PreloadOff, PreloadAuto} {
			t.Run(fmt.Sprint(version, " preload ", mode), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, helloApp, func(o *Options) { o.Python, o.Preload = python, mode })
				_, err := s.tryLaunch(context.Background(), 1)
				want := "Python " + version + " is too old: 3.9 or later is needed (python_home)"
				var launch *process.LaunchError
				if !errors.As(err, &launch) || launch.Error() != want || launch.Detail != "" {
					t.Errorf("%v, want %s", err, want)
				}
				if strings.Contains(s.out.String(), "Traceback") {
					t.Errorf("a traceback:\n%s", s.out)
				}
			})
		}
	}
}

// pretendPython returns an interpreter that says it is of another version.
func pretendPython(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python3")
	script := fmt.Sprintf("#!/bin/sh\nexec %s -c 'import runpy, sys\nsys.version_info = (%s, 0)\n"+
		"sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name=\"__main__\")' \"$@\"\n",
		venvPython(t), strings.ReplaceAll(version, ".", ", "))
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// installedPython returns an interpreter of that version on this machine; "": there
// is none.
func installedPython(t *testing.T, version string) string {
	t.Helper()
	for _, path := range candidates(t, venvPython(t), "python"+version) {
		if pythonVersion(path) == version {
			return path
		}
	}
	return ""
}
