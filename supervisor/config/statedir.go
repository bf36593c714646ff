package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"

	"github.com/multisite/multisite/apps/tomlfile"
)

// StateDir returns the state directory of the sites.toml at path, which is all that is
// needed to find the supervisor that runs. It accepts a file that has any other mistake,
// even one that is not TOML.
func StateDir(path string) (string, error) {
	file, err := read(path)
	if err != nil {
		data, _ := os.ReadFile(path) // nil for a file that cannot be read, as err says
		rest, restErr := tomlfile.Parse(path, onlyStateDir(data))
		if data == nil || restErr != nil {
			return "", err
		}
		file = rest
	}
	dir := stateDir(file)
	wrong := slices.DeleteFunc(file.Problems(), func(p tomlfile.Problem) bool { return p.Key != "state_dir" })
	return dir, wrong.Err()
}

// DefaultStateDir returns the state directory of a sites.toml at path without state_dir.
func DefaultStateDir(path string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	return filepath.Join(dir, ".multisite"), err
}

func stateDir(file *tomlfile.File) string {
	dir := filepath.Join(file.Dir(), ".multisite")
	file.Root().Path("state_dir", &dir)
	return dir
}

// onlyStateDir returns the lines above the first table without those of other keys.
func onlyStateDir(data []byte) []byte {
	lines := bytes.Split(data, []byte("\n"))
	for i, line := range lines {
		if bytes.HasPrefix(bytes.TrimSpace(line), []byte("[")) {
			return bytes.Join(lines[:i], []byte("\n"))
		}
		if key, _, _ := bytes.Cut(line, []byte("=")); string(bytes.TrimSpace(key)) != "state_dir" {
			lines[i] = nil
		}
	}
	return bytes.Join(lines, []byte("\n"))
}
