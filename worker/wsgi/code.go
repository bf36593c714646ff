package wsgi

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed python/multisite_wsgi/*.py
var python embed.FS

const packageDir = "python/multisite_wsgi"

// installCode writes the embedded package below dir, in a directory named after
// its contents, and returns the package's directory. What is there already is
// right: it came by rename. Other users' workers may read it.
func installCode(dir string) (string, error) {
	hash, err := hashCode()
	if err != nil {
		return "", fmt.Errorf("install the Python worker: %w", err)
	}
	home := filepath.Join(dir, hash)
	target := filepath.Join(home, "multisite_wsgi")
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	if err := writeCode(dir, home); err != nil {
		return "", fmt.Errorf("install the Python worker: %w", err)
	}
	return target, nil
}

func writeCode(dir, home string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	code, err := fs.Sub(python, "python")
	if err != nil {
		return err
	}
	if err := os.CopyFS(tmp, code); err != nil {
		return err
	}
	if err := os.Rename(tmp, home); err != nil {
		if _, statErr := os.Stat(home); statErr == nil {
			return nil // another one was faster
		}
		return err
	}
	return nil
}

func hashCode() (string, error) {
	files, err := fs.Glob(python, packageDir+"/*.py")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range files {
		b, err := python.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
