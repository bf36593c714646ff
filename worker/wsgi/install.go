package wsgi

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/multisite/multisite/worker/account"
)

//go:embed python/multisite_wsgi/*.py
var python embed.FS

const packageDir = "python/multisite_wsgi"

// installCode writes the embedded package below dir, in a directory named after
// its contents, and returns the package's directory. A directory that exists is
// complete, since it got its name by rename. Workers of other users may read it.
func installCode(dir string) (string, error) {
	hash, err := codeHash()
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
	if err := makeOpenDir(dir); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	code, err := fs.Sub(python, "python")
	if err != nil {
		return err
	}
	if err := os.CopyFS(tmp, code); err != nil {
		return err
	}
	if err := openToAll(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, home); err != nil {
		if _, statErr := os.Stat(home); statErr == nil {
			return nil // another process was faster
		}
		return err
	}
	return nil
}

// openToAll makes all below dir readable by everybody, whatever our umask is.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
}

// makeOpenDir makes a directory that everybody may enter and read. A directory that
// exists stays as it is.
func makeOpenDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// makeLearned makes the directory in which zygotes keep the results of learning.
// Each user has a directory of its own, since its files decide what is imported.
func makeLearned(dir string, a *account.Account) (string, error) {
	learned := filepath.Join(dir, "learned")
	if err := makeOpenDir(learned); err != nil || a == nil {
		return learned, err
	}
	own := filepath.Join(learned, strconv.Itoa(a.UID))
	if err := os.MkdirAll(own, 0o700); err != nil {
		return "", err
	}
	return own, os.Lchown(own, a.UID, a.GID)
}

// codeHash is hashCode, computed once: a supervisor needs it for every site.
var codeHash = sync.OnceValues(hashCode)

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
