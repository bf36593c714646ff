package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/statedir"
)

func TestReport(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		err  error
		want string
		code int
	}{
		{"nothing", nil, "", 0},
		{"a failure", errors.New("no"), "multisite: error: no\n", 1},
		{"wrong usage", &usageError{err: errors.New("no"), hint: "so"}, "multisite: error: no\nmultisite: hint: so\n", 2},
		{"told already", &exitError{7}, "", 7},
		{"who runs", &statedir.RunningError{PID: "9", StateDir: "/s"},
			"multisite: error: multisite already runs for /s (pid 9)\nmultisite: hint: multisite status shows it, multisite down stops it\n", 1},
		{"an answer", &control.Error{Message: "no", Hint: "so", Detail: "Traceback:\n  x\n"},
			"multisite: error: no\nTraceback:\n  x\nmultisite: hint: so\n", 1},
		{"an answer that says it twice", &control.Error{Message: "site a: no", Detail: "no"}, "multisite: error: site a: no\n", 1},
		{"a wrong question", fmt.Errorf("call: %w", &control.Error{Message: "no site", Usage: true}), "multisite: error: no site\n", 2},
		{"mistakes in files", tomlfile.Problems{
			{Position: tomlfile.Position{File: filepath.Join(here, "sites.d/a.toml"), Line: 3}, Key: "k", Message: "is wrong", Hint: "so"},
			{Position: tomlfile.Position{File: "/elsewhere/b.toml"}, Message: "no such file"},
		}, "multisite: error: sites.d/a.toml:3: k: is wrong\nmultisite: hint: so\nmultisite: error: /elsewhere/b.toml: no such file\n", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if code := report(&out, tt.err); code != tt.code || out.String() != tt.want {
				t.Errorf("exit %d, want %d; got:\n%swant:\n%s", code, tt.code, out.String(), tt.want)
			}
		})
	}
}
