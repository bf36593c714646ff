package proxy

import (
	"os"
	"path/filepath"
	"testing"
)

// testFiles makes a directory of static files, and a secret beside it.
func testFiles(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "static")
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.css", "secret")
	write("static/site.css", "body{}")
	write("static/deep/er/a.js", "let a")
	return dir
}
