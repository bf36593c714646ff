package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// sleepers are sites whose workers exit after a second without requests, and their zygote
// after five.
const sleepers = pythonSites + `
processes = { min = 0, max = 2 }
inactivity_timeout = "1s"
[site.shared]
server_name = "shared.example.com"
settings = "subdomain1_settings"
[site.loaded]
server_name = "loaded.example.com"
settings = "subdomain1_settings"
preload = false
[site.edited]
server_name = "edited.example.com"
settings = "edited_settings"
python_path = ["${DIR}", "${DJANGO}"]
`

func TestZygoteSleep(t *testing.T) {
	t.Parallel()
	code := t.TempDir()
	writeEdited(t, code, "first")
	r := up(t, strings.ReplaceAll(sleepers, "${DIR}", code))
	for _, site := range r.status().Sites {
		if site.State != "sleeping" || len(site.Workers) != 0 {
			t.Errorf("site %s is %s with %d workers: nobody asked for it yet", site.Name, site.State, len(site.Workers))
		}
	}
	r.parts(t, []part{
		{"wakes from nothing", wakeFromNothing},
		{"wakes from its zygote", wakeFromZygote},
		{"wakes when its zygote was killed", wakeFromKilledZygote},
		{"grows when requests wait, shrinks when idle", growAndShrink},
		{"wakes without a zygote", wakeWithoutZygote},
		{"wakes with new code", func(t *testing.T, r *running) { wakeWithNewCode(t, r, code) }},
		{"requests that come together wake it once", wakeTogether},
	})
}

// writeEdited writes a site whose page is text.
func writeEdited(t testing.TB, dir, text string) {
	t.Helper()
	for name, source := range map[string]string{
		"edited_settings.py": "from subdomain1_settings import *\nROOT_URLCONF = 'edited_urls'\n",
		"edited_urls.py": "import os\nfrom django.http import HttpResponse\nfrom django.urls import path\n" +
			"urlpatterns = [path('', lambda request: HttpResponse('" + text + "')),\n" +
			"    path('greeting/', lambda request: HttpResponse(os.environ['GREETING']))]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wake asks a sleeping site for a page and returns how long the answer took.
func (r *running) wake(site string) time.Duration {
	r.t.Helper()
	r.waitSite(site, "sleeping")
	start := time.Now()
	a := r.get(site+".example.com", "/hello/")
	took := time.Since(start)
	if a.status != http.StatusOK || !strings.HasPrefix(a.body, "Hello from Subdomain One") {
		r.t.Errorf("status %d: %s", a.status, a.body)
	}
	if s := r.site(site); s.State != "running" || len(s.Workers) != 1 {
		r.t.Errorf("awake it is %s with %d workers, want one", s.State, len(s.Workers))
	}
	return took
}

// zygote returns the private memory of the zygote of a site.
func (r *running) zygote(site string) int64 {
	r.t.Helper()
	return r.site(site).Memory.ZygotePSS
}

func wakeFromNothing(t *testing.T, r *running) {
	t.Logf("the first request of all: %v with a zygote, %v without", r.wake("shared"), r.wake("loaded"))
	if r.zygote("shared") == 0 || r.zygote("loaded") != 0 {
		t.Errorf("zygotes have %d and %d bytes, want one for the first", r.zygote("shared"), r.zygote("loaded"))
	}
}

func wakeFromZygote(t *testing.T, r *running) {
	r.waitSite("shared", "sleeping")
	eventually(t, "the last worker to exit", func() bool { return len(r.site("shared").Workers) == 0 })
	if s := r.site("shared"); s.Memory.ZygotePSS == 0 || s.Preload != "on" || len(s.Workers) != 0 {
		t.Errorf("asleep it has a zygote of %d bytes, preload %q, %d workers", s.Memory.ZygotePSS, s.Preload, len(s.Workers))
	}
	t.Logf("with its zygote: %v", r.wake("shared"))
}

func wakeFromKilledZygote(t *testing.T, r *running) {
	r.waitSite("shared", "sleeping")
	kill(t, r.zygotePID("shared"))
	r.wake("shared")
}

// zygotePID returns the pid of a site's zygote.
func (r *running) zygotePID(site string) (pid int) {
	r.t.Helper()
	for _, p := range children(r.t, r.pid) {
		if p.name == "zyg "+site {
			pid = p.pid
		}
	}
	if pid == 0 {
		r.t.Fatalf("site %s has no zygote", site)
	}
	return pid
}

// growAndShrink: a second request starts a second worker, which exits when it is idle. A
// third request waits for one of the two.
func growAndShrink(t *testing.T, r *running) {
	r.wake("shared")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			a, err := r.newVisitor().do(newRequest(t, http.MethodGet, "shared.example.com", "/probe/sleep/?ms=700", nil))
			if err != nil || a.status != http.StatusOK {
				t.Errorf("status %d, %v", a.status, err)
			}
		})
	}
	eventually(t, "a second worker", func() bool {
		s := r.site("shared")
		if s.Processes.Ready > 2 {
			t.Errorf("%d workers, want 2 at most", s.Processes.Ready)
		}
		return s.Processes.Ready == 2 && s.Requests.Active == 2
	})
	wg.Wait()
	r.waitSite("shared", "sleeping")
	if s := r.site("shared"); s.Restarts != 0 || s.Processes.Desired != 0 || s.Processes.Ready != 0 {
		t.Errorf("asleep: %d restarts, %+v", s.Restarts, s.Processes)
	}
}

func wakeWithoutZygote(t *testing.T, r *running) {
	r.waitSite("shared", "sleeping")
	eventually(t, "the zygote to be unloaded", func() bool { return r.zygote("shared") == 0 })
	eventually(t, "it to exit", func() bool { return childrenOf(t, r.pid, "zyg shared") == 0 })
	t.Logf("without its zygote: %v", r.wake("shared"))
	if s := r.site("shared"); s.Preload != "on" || s.Memory.ZygotePSS == 0 {
		t.Errorf("preload %q, zygote of %d bytes, want it on again", s.Preload, s.Memory.ZygotePSS)
	}
}

// wakeWithNewCode: a site that sleeps is reloaded too.
func wakeWithNewCode(t *testing.T, r *running, code string) {
	page := func() string { return r.get("edited.example.com", "/").body }
	if got := page(); got != "first" {
		t.Errorf("got %q, want first", got)
	}
	r.waitSite("edited", "sleeping")
	writeEdited(t, code, "other")
	if out := r.must("reload"); !strings.Contains(out, "edited: new workers, generation 2 (code changed)\n") {
		t.Errorf("reload printed %q", out)
	}
	if s := r.site("edited"); s.State != "sleeping" || len(s.Workers) != 0 || r.zygote("edited") != 0 {
		t.Errorf("after the reload it is %s with %d workers, want it to sleep on", s.State, len(s.Workers))
	}
	writeEdited(t, code, "broken")
	writeFile(t, filepath.Join(code, "edited_settings.py"), readFile(t, filepath.Join(code, "edited_settings.py"))+"import no_such_thing\n")
	if got := r.multisite("reload"); got.code != 1 || !strings.Contains(got.stderr, "No module named 'no_such_thing'") {
		t.Errorf("a reload of broken code: exit %d\n%s", got.code, got.stderr)
	}
	writeEdited(t, code, "other")
	if got := page(); got != "other" {
		t.Errorf("got %q, want other", got)
	}
}

// wakeTogether: the first requests wait until the site is awake, and all are answered.
func wakeTogether(t *testing.T, r *running) {
	for _, site := range []string{"shared", "loaded"} {
		r.waitSite(site, "sleeping")
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				a, err := r.newVisitor().do(newRequest(t, http.MethodGet, site+".example.com", "/hello/", nil))
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%s: status %d, %v", site, a.status, err)
				}
			})
		}
		wg.Wait()
		if s := r.site(site); s.Requests.Errors != 0 || s.Restarts != 0 {
			t.Errorf("%s: %d errors, %d restarts", site, s.Requests.Errors, s.Restarts)
		}
	}
}
