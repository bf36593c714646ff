package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/statedir"
)

// manySites is a running supervisor of sleeping sites of all kinds. Their Python is never
// started.
type manySites struct {
	*Supervisor
	dir   string // of their code
	count int
}

func startManySites(t *testing.T, n int) *manySites {
	t.Helper()
	m := writeManySites(t, n)
	m.load(t)
	s := m.Supervisor
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, context.Background()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	<-s.life.serving
	return m
}

// writeManySites writes the files of such a supervisor.
func writeManySites(t *testing.T, n int) *manySites {
	t.Helper()
	m := &manySites{dir: t.TempDir(), count: n}
	write(t, m.dir, "bin/python3", "#!/bin/false\n")
	if err := os.Chmod(filepath.Join(m.dir, "bin/python3"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, m.dir, "lib/python3.13/site-packages/django/__init__.py", "")
	write(t, m.dir, "code/settings.py", "")
	m.writeTOML(t, "max = 2")
	return m
}

// load makes the supervisor, of which nothing runs yet.
func (m *manySites) load(t *testing.T) {
	t.Helper()
	var err error
	if m.Supervisor, err = New(Options{Load: func() (*config.Config, error) { return config.Load(filepath.Join(m.dir, "sites.toml")) }}); err != nil {
		t.Fatal(err)
	}
}

// writeTOML writes the sites; the first one has as many processes as first says.
func (m *manySites) writeTOML(t *testing.T, first string) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "listen = '127.0.0.1:0'\n[defaults]\npython_home = %q\npython_path = [%q]\nhome = %q\n",
		m.dir, filepath.Join(m.dir, "code"), m.dir)
	runs := []string{"settings = 'settings'", "wsgi = 'settings:application'", "settings = 'builtin:subdomain1'"}
	for i := range m.count {
		processes := "max = 2"
		if i == 0 {
			processes = first
		}
		fmt.Fprintf(&text, "[site.s%d]\nserver_name = 's%d.example.com'\nprocesses = { min = 0, %s }\n%s\n", i, i, processes, runs[i%len(runs)])
	}
	write(t, m.dir, "sites.toml", text.String())
}

// parts returns the parts of all sites' code, and at how many places they are.
func (m *manySites) parts() (all map[*code.Part]bool, places int) {
	all, at := map[*code.Part]bool{}, map[code.Place]bool{}
	for _, t := range m.Supervisor.sites.all() {
		for _, p := range t.code() {
			all[p], at[p.Place] = true, true
		}
	}
	return all, len(at)
}

func (m *manySites) mustReload(t *testing.T) string {
	t.Helper()
	var did strings.Builder
	if err := m.Reload(t.Context(), "", &did); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(did.String())
}

// TestGrowth_CodeIsReadOnceForAllItsSites: when each site walks its code base itself,
// a thousand of them take half a minute to start, and to find out that nothing changed.
func TestGrowth_CodeIsReadOnceForAllItsSites(t *testing.T) {
	t.Parallel()
	m := startManySites(t, 100)
	const places = 3 // the interpreter, python_path and home
	before, n := m.parts()
	if len(before) != places || n != places {
		t.Fatalf("the code at %d places was read %d times, want %d each", n, len(before), places)
	}
	m.writeTOML(t, "max = 3")
	if got, want := m.mustReload(t), "s0: processes changed, no worker restarted"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	write(t, m.dir, "code/settings.py", "changed = True")
	if got := strings.Count(m.mustReload(t), "(code changed), not tried: it sleeps"); got != 67 {
		t.Errorf("%d of 67 Python sites were reloaded for new code, and not woken", got)
	}
	after, n := m.parts()
	if len(after) != places || n != places {
		t.Errorf("after a change, the code at %d places was read %d times, want %d each", n, len(after), places)
	}
	kept := 0
	for p := range after {
		if before[p] {
			kept++
		}
	}
	if kept != 1 { // of the interpreter: below home is python_path
		t.Errorf("%d parts are held as they were, want 1", kept)
	}
}

// TestGrowth_ASleepingSiteCostsLittle is not parallel: it counts the goroutines and
// descriptors of the process.
func TestGrowth_ASleepingSiteCostsLittle(t *testing.T) {
	type cost struct{ memory, goroutines, descriptors int }
	measure := func(sites, goroutines int) (c cost) {
		t.Run(fmt.Sprint(sites, " sites"), func(t *testing.T) {
			m := startManySites(t, sites)
			m.Status(t.Context())
			fds, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				t.Fatal(err)
			}
			fewer := func() (running int) {
				for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() { // those that start or await a site end
					if running = runtime.NumGoroutine(); running <= goroutines || time.Now().After(deadline) {
						return running
					}
				}
			}
			fewer()
			runtime.GC()
			runtime.GC() // what the first one has finalised
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			c = cost{int(mem.HeapAlloc + mem.StackInuse), fewer(), len(fds)}
		})
		return c
	}
	const more = 500
	few := measure(3, math.MaxInt)
	most := few.goroutines + more + 10
	many := measure(3+more, most)
	if got := (many.memory - few.memory) / more; got > 25_000 {
		t.Errorf("a sleeping site holds %d bytes of heap and stacks, want at most 25000", got)
	}
	if got := many.goroutines; got > most {
		t.Errorf("%d sleeping sites have %d goroutines, want one each", more, got-few.goroutines)
	}
	if got := many.descriptors - few.descriptors; got > 10 {
		t.Errorf("%d sleeping sites hold %d descriptors, want none", more, got)
	}
}

// TestReload_ForgetsRemovedSites: the journal keeps nothing for a site that was removed, by a
// reload or while nothing ran, but for its history.
func TestReload_ForgetsRemovedSites(t *testing.T) {
	t.Parallel()
	m := startManySites(t, 3)
	for _, name := range []string{"s0", "s2"} {
		if err := errors.Join(m.journal.SetScale(t.Context(), name, 2), m.journal.SetWarmup(t.Context(), name, "{}")); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := m.sites.find("s2")
	if err != nil {
		t.Fatal(err)
	}
	m.count = 2
	m.writeTOML(t, "max = 2")
	if got, want := m.mustReload(t), "s2: removed"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	<-removed.done
	m.remembers(t, "s0")
}

// TestStart_ForgetsRemovedSites: a site may have been removed while nothing ran.
func TestStart_ForgetsRemovedSites(t *testing.T) {
	t.Parallel()
	m := writeManySites(t, 1)
	state := filepath.Join(m.dir, ".multisite")
	if err := statedir.Make(state); err != nil {
		t.Fatal(err)
	}
	before, err := journal.Open(filepath.Join(state, statedir.JournalDB), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s0", "s2"} {
		if err := errors.Join(before.SetScale(t.Context(), name, 1), before.SetWarmup(t.Context(), name, "{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	m.load(t)
	defer m.close(t.Context())
	m.remembers(t, "s0")
}

// remembers checks for which sites the journal has a number of workers and a warm-up.
func (m *manySites) remembers(t *testing.T, want ...string) {
	t.Helper()
	scales, err := m.journal.Scales(t.Context())
	if got := slices.Sorted(maps.Keys(scales)); err != nil || !slices.Equal(got, want) {
		t.Errorf("numbers of workers of %q, %v, want %q", got, err, want)
	}
	for _, name := range []string{"s0", "s2"} {
		if learned, err := m.journal.Warmup(t.Context(), name); err != nil || (learned != "") != slices.Contains(want, name) {
			t.Errorf("warm-up of %s: %q, %v, want it for %q", name, learned, err, want)
		}
	}
}
