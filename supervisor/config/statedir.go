package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"

	"github.com/multisite/multisite/apps/tomlfile"
)

// StateDir reads of the sites.toml at path only where its state directory is: all
// that is needed to find the supervisor that runs. Nothing else that is wrong with
// the file matters, not even that it is not TOML.
func StateDir(path string) (string, error) {
	file, err := read(path)
	if err != nil {
		data, _ := os.ReadFile(path) // of none it would be the default
		left, leftErr := tomlfile.Parse(path, onlyStateDir(data))
		if data == nil || leftErr != nil {
			return "", err
		}
		file = left
	}
	dir := stateDir(file)
	wrong := slices.DeleteFunc(file.Problems(), func(p tomlfile.Problem) bool { return p.Key != "state_dir" })
	return dir, wrong.Err()
}

// DefaultStateDir is the state directory of a sites.toml at path that names none.
func DefaultStateDir(path string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	return filepath.Join(dir, ".multisite"), err
}

func stateDir(file *tomlfile.File) string {
	dir := filepath.Join(file.Dir(), ".multisite")
	file.Root().Path("state_dir", &dir)
	return dir
}

// onlyStateDir leaves of the lines above the first table the one that says state_dir.
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
