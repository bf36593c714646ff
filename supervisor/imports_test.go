package supervisor

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/multisite/multisite/"

// goPackage is a package of this module as `go list` sees it.
type goPackage struct {
	ImportPath string
	Imports    []string // what it imports itself
	Deps       []string // and what that imports
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module) }

// own returns the packages of this module among paths.
func own(paths []string) []string {
	var names []string
	for _, path := range paths {
		if name, ok := strings.CutPrefix(path, module); ok {
			names = append(names, name)
		}
	}
	return names
}

// TestImports_KeepTheTable holds the packages to the table of who imports whom in
// docs/architecture.md. A package below supervisor is a leaf: it imports no other one,
// except those that hold values which several packages share.
func TestImports_KeepTheTable(t *testing.T) {
	t.Parallel()
	leaves := map[string][]string{ // and what of this module each may import
		"supervisor/capacity":  {"worker/process"},
		"supervisor/certs":     nil,
		"supervisor/code":      nil,
		"supervisor/coding":    nil,
		"supervisor/config":    {"apps/tomlfile", "worker/account", "supervisor/cron", "supervisor/rules"},
		"supervisor/control":   {"worker/unixsock", "supervisor/status"},
		"supervisor/cron":      nil,
		"supervisor/dashboard": {"supervisor/status", "supervisor/visible"},
		"supervisor/errorpage": nil,
		"supervisor/fastloop":  {"supervisor/coding", "supervisor/errorpage", "supervisor/httphead", "supervisor/rules", "supervisor/site", "supervisor/spool", "supervisor/static", "worker/wire"},
		"supervisor/footprint": nil,
		"supervisor/gate":      nil,
		"supervisor/httphead":  {"worker/wire"},
		"supervisor/journal":   nil,
		"supervisor/ksm":       nil,
		"supervisor/latency":   nil,
		"supervisor/launches":  nil,
		"supervisor/limits":    {"worker/process"},
		"supervisor/logs":      nil,
		"supervisor/metrics":   {"supervisor/latency", "supervisor/site", "supervisor/status"},
		"supervisor/pool":      nil,
		"supervisor/proxy":     {"supervisor/coding", "supervisor/errorpage", "supervisor/fastloop", "supervisor/gate", "supervisor/httphead", "supervisor/rules", "supervisor/site", "supervisor/spool", "supervisor/static", "supervisor/tunnel", "worker/wire"},
		"supervisor/runtimes":  {"supervisor/config", "worker/goapp", "worker/process", "worker/wsgi"},
		"supervisor/rules":     nil,
		"supervisor/site":      {"supervisor/coding", "supervisor/errorpage", "supervisor/latency", "supervisor/rules", "worker/wire"},
		"supervisor/spool":     nil,
		"supervisor/statedir":  nil,
		"supervisor/static":    {"supervisor/coding", "supervisor/site", "worker/wire"},
		"supervisor/status":    nil,
		"supervisor/systemd":   nil,
		"supervisor/task":      {"worker/process"},
		"supervisor/tunnel":    {"supervisor/site"},
		"supervisor/traceback": nil,
		"supervisor/visible":   nil,
		"supervisor/warnings":  {"supervisor/config"},
		"supervisor/watch":     nil,
	}
	packages := listPackages(t)
	for _, p := range packages {
		if _, listed := leaves[p.name()]; !listed && strings.HasPrefix(p.name(), "supervisor/") {
			t.Errorf("%s is not in the table", p.name())
		}
	}
	for leaf, may := range leaves {
		for _, name := range may {
			for _, deeper := range leaves[name] {
				if under(deeper, "supervisor") && name != "supervisor/config" && name != "supervisor/fastloop" && name != "supervisor/tunnel" && name != "supervisor/static" && name != "supervisor/site" { // cron schedules; parts of the front door
					t.Errorf("%s may import %s, which imports %s: only packages that import no other leaf may be imported by one", leaf, name, deeper)
				}
			}
		}
		i := slices.IndexFunc(packages, func(p goPackage) bool { return p.name() == leaf })
		if i < 0 {
			t.Errorf("there is no package %s", leaf)
			continue
		}
		for _, name := range own(packages[i].Imports) {
			if !slices.Contains(may, name) {
				t.Errorf("%s imports %s", leaf, name)
			}
		}
	}
	for _, p := range packages {
		for _, name := range own(p.Deps) {
			switch below := under(p.name(), "worker") || under(p.name(), "apps"); {
			case below && under(name, "supervisor"):
				t.Errorf("%s depends on %s: what serves a site knows nothing of the supervisor", p.name(), name)
			case under(p.name(), "worker") && under(name, "apps"), under(p.name(), "apps") && under(name, "worker"):
				t.Errorf("%s depends on %s: runtimes and applications do not know each other", p.name(), name)
			case under(name, "cmd"):
				t.Errorf("%s depends on %s", p.name(), name)
			}
		}
	}
}

// TestImports_OneHomeForEach: what only some packages may know of the world.
func TestImports_OneHomeForEach(t *testing.T) {
	t.Parallel()
	homes := map[string][]string{
		"github.com/spf13/cobra":                         {"cmd"},
		"github.com/BurntSushi/toml":                     {"apps/tomlfile"},
		"github.com/hashicorp/go-plugin":                 {"worker"},
		"github.com/coreos/go-systemd/v22/daemon":        {"supervisor/systemd"},
		"github.com/coreos/go-systemd/v22/activation":    {"supervisor/systemd"},
		"github.com/caddyserver/certmagic":               {"supervisor/certs"},
		"go.uber.org/zap":                                {"supervisor/certs"}, // the logger of certmagic
		"github.com/prometheus/client_golang/prometheus": {"supervisor/metrics"},
		"github.com/fsnotify/fsnotify":                   {"supervisor/watch"},
		"github.com/mattn/go-sqlite3":                    {"apps/db", "supervisor/journal"},
		"os/exec":                                        {"cmd", "worker"}, // who may start processes
	}
	used := map[string]bool{}
	for _, p := range listPackages(t) {
		for _, path := range p.Imports {
			allowed, limited := homes[path]
			if !limited {
				continue
			}
			used[path] = true
			if !slices.ContainsFunc(allowed, func(home string) bool { return under(p.name(), home) }) {
				t.Errorf("%s imports %s, which only %s may", p.name(), path, strings.Join(allowed, " and "))
			}
		}
	}
	for path := range homes {
		if !used[path] {
			t.Errorf("nobody imports %s: the table is out of date", path)
		}
	}
}

func under(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// listPackages returns every package of the module, without its tests.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if err == io.EOF {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
