package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/traceback"
	"github.com/multisite/multisite/worker/process"
)

// explain returns an error in words for a person at the command line; nil for none. If the
// site's own code is the reason, they begin with its file and line, have the frames of that
// code, and what may help.
func explain(c *config.Site, err error) error {
	if err == nil {
		return nil
	}
	e := &control.Error{Message: fmt.Sprintf("site %s: %v", c.Name, err), Hint: "multisite logs " + c.Name}
	var launch *process.LaunchError
	if errors.As(err, &launch) {
		e.Detail = traceback.Own(launch.Detail)
		if file, line := traceback.Origin(launch.Detail); file != "" {
			e.Message = fmt.Sprintf("%s:%d: %s", file, line, e.Message)
		} else if m := missing.FindStringSubmatch(launch.Problem); m != nil && names(c, m[1]) {
			e.Message = c.Position.String() + ": " + e.Message
		}
		if hint := hintFor(c, launch.Problem); hint != "" {
			e.Hint = hint
		}
	}
	if errors.Is(err, pool.ErrStopped) {
		e.Hint = ""
	}
	return e
}

var (
	variableName = regexp.MustCompile(`\b[A-Z_][A-Z0-9_]{2,}\b`)
	missing      = regexp.MustCompile(`^ModuleNotFoundError: No module named '([\w.]+)'`)
)

// hintFor returns what may help against a problem of a site's code; "" if that is not
// known.
func hintFor(c *config.Site, problem string) string {
	if m := missing.FindStringSubmatch(problem); m != nil {
		name, _, _ := strings.Cut(m[1], ".")
		if near := tomlfile.Nearest(name, modulesOf(c)); near != "" && near != name {
			return fmt.Sprintf("did you mean %q?", near)
		}
		return ""
	}
	if !strings.HasPrefix(problem, "KeyError: ") && !strings.Contains(strings.ToLower(problem), "environ") {
		return ""
	}
	for _, name := range variableName.FindAllString(problem, -1) {
		_, here := os.LookupEnv(name)
		if _, passed := c.Env[name]; here && !passed {
			return fmt.Sprintf(`the environment of multisite has %[1]s, and a site gets only what sites.toml says: env = { %[1]s = "${%[1]s}" }`, name)
		}
	}
	return ""
}

// names reports whether sites.toml names a module, or one inside of it, for a site.
func names(c *config.Site, module string) bool {
	for _, entry := range []string{c.Settings, c.WSGI} {
		if rest, ok := strings.CutPrefix(entry, module); ok && (rest == "" || rest[0] == '.' || rest[0] == ':') {
			return true
		}
	}
	return false
}

// modulesOf returns the modules and packages that lie where sites.toml says that a site's
// code is.
func modulesOf(c *config.Site) (names []string) {
	for _, dir := range append([]string{c.Home}, c.PythonPath...) {
		entries, _ := os.ReadDir(dir) // it may not exist
		for _, e := range entries {
			name := strings.TrimSuffix(e.Name(), ".py")
			if name != e.Name() || e.IsDir() && isPackage(filepath.Join(dir, name)) {
				names = append(names, name)
			}
		}
	}
	return names
}

func isPackage(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "__init__.py"))
	return err == nil
}
