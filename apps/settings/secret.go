package settings

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const secretBytes = 32

// Secret returns the key in the file at path. It makes a missing file, which only its
// owner can read. Processes that start together get the same key.
func Secret(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(path); err != nil {
			return nil, fmt.Errorf("make secret key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if len(key) < secretBytes {
		return nil, fmt.Errorf("read secret key: %s holds %d characters, %d are needed", path, len(key), secretBytes)
	}
	return []byte(key), nil
}

// makeSecret links a complete file to path: no process can read a partial key, and if two
// processes do it at once, the first key remains.
func makeSecret(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // its other name remains
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // it cannot fail
	_, err = file.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
