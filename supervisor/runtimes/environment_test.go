package runtimes

import (
	"slices"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/worker/account"
)

// TestEnvironment_HoldsNoSecretOfTheSupervisor: a site gets its own variables and the
// defaults, and nothing else of the supervisor's environment but PATH and the like.
func TestEnvironment_HoldsNoSecretOfTheSupervisor(t *testing.T) {
	t.Setenv("DATABASE_PASSWORD", "secret")
	t.Setenv("LANG", "de_DE")
	t.Setenv("PYTHONPATH", "/elsewhere")
	t.Setenv("PATH", "/bin")
	t.Setenv("TZ", "Europe/Zurich")
	got := Environment(&config.Site{Env: map[string]string{"SITE": "blog", "TZ": "UTC"}})
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
	own := Environment(&config.Site{Env: map[string]string{"LANG": "de_CH.UTF-8"}})
	if !slices.Contains(own, "LANG=de_CH.UTF-8") {
		t.Errorf("%q does not have the site's own LANG", own)
	}
}

// TestEnvironment_OfAnotherUser: it has its own home, not the supervisor's.
func TestEnvironment_OfAnotherUser(t *testing.T) {
	t.Setenv("HOME", "/root")
	t.Setenv("SHELL", "/bin/zsh")
	ours := Environment(&config.Site{})
	if !slices.Contains(ours, "HOME=/root") || !slices.Contains(ours, "SHELL=/bin/zsh") {
		t.Errorf("%q has no HOME or SHELL of the supervisor", ours)
	}
	got := Environment(&config.Site{Account: &account.Account{Name: "shop", Home: "/home/shop"}, Locale: "de_CH.UTF-8"})
	for _, want := range []string{"HOME=/home/shop", "USER=shop", "LOGNAME=shop", "LC_ALL=de_CH.UTF-8"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q has no %s", got, want)
		}
	}
	if slices.Contains(got, "SHELL=/bin/zsh") {
		t.Errorf("%q has the supervisor's SHELL", got)
	}
}

// TestTaskEnvironment: a command finds the site's interpreter, modules and settings.
func TestTaskEnvironment(t *testing.T) {
	t.Setenv("PATH", "/bin")
	at := func(path string) string { return "/real" + path }
	c := &config.Site{Kind: config.WSGI, Python: "/venv/bin/python", Home: "/home", Settings: "shop.settings", Env: map[string]string{"PYTHONPATH": "/own"}}
	got := TaskEnvironment(c, at, []string{"/real/a", "/real/b"})
	for _, want := range []string{"PATH=/real/venv/bin:/bin", "PYTHONPATH=/real/a:/real/b:/real/home:/own", "DJANGO_SETTINGS_MODULE=shop.settings", "PYTHONUNBUFFERED=1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q has no %s", got, want)
		}
	}
	c.Env = nil
	if got := TaskEnvironment(c, at, nil); !slices.Contains(got, "PYTHONPATH=/real/home") {
		t.Errorf("%q has no PYTHONPATH", got)
	}
	c.Kind = config.App
	if got, want := TaskEnvironment(c, at, nil), Environment(c); !slices.Equal(got, want) {
		t.Errorf("of a Go site: %q, want %q", got, want)
	}
}
