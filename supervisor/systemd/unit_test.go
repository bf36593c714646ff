package systemd

import (
	"os"
	"strings"
	"testing"
)

// TestUnits_InOperations compares the units with those that people copy from the documents.
func TestUnits_InOperations(t *testing.T) {
	t.Parallel()
	page := read(t, "../../docs/operations.md")
	for _, name := range []string{"multisite.service", "hardened.conf"} {
		if !strings.Contains(page, "\n```ini\n"+read(t, name)+"```\n") {
			t.Errorf("docs/operations.md has no block that is %s", name)
		}
	}
}

// TestUnits_KeysOfDebian12: Type=notify-reload needs systemd 253, and ExecReload= with a
// signal could not report that a reload failed.
func TestUnits_KeysOfDebian12(t *testing.T) {
	t.Parallel()
	unit := read(t, "multisite.service")
	for _, want := range []string{"Type=notify\n", "ExecReload=/usr/local/bin/multisite reload -c ", "\n[Install]\nWantedBy=multi-user.target\n"} {
		if !strings.Contains(unit, want) {
			t.Errorf("multisite.service has no %q", want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
