package supervisor

import (
	"slices"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
)

// TestEnvironment_HoldsNoSecretOfTheSupervisor also shows what a site does get.
func TestEnvironment_HoldsNoSecretOfTheSupervisor(t *testing.T) {
	t.Setenv("DATABASE_PASSWORD", "secret")
	t.Setenv("LANG", "de_DE")
	t.Setenv("PYTHONPATH", "/elsewhere")
	t.Setenv("PATH", "/bin")
	t.Setenv("TZ", "Europe/Zurich")
	got := environment(&config.Site{Env: map[string]string{"SITE": "blog", "TZ": "UTC"}})
	for _, want := range []string{"LANG=C.UTF-8", "PATH=/bin", "SITE=blog", "TZ=UTC"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q has no %s", got, want)
		}
	}
	for _, no := range []string{"DATABASE_PASSWORD=secret", "LANG=de_DE", "PYTHONPATH=/elsewhere", "TZ=Europe/Zurich"} {
		if slices.Contains(got, no) {
			t.Errorf("%q has %s", got, no)
		}
	}
	if !slices.IsSorted(got) {
		t.Errorf("%q is not in order", got)
	}
	own := environment(&config.Site{Env: map[string]string{"LANG": "de_CH.UTF-8"}})
	if !slices.Contains(own, "LANG=de_CH.UTF-8") {
		t.Errorf("%q does not have the site's own LANG", own)
	}
}
