package supervisor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/task"
)

// TestUpgrade_DoesNotWaitForTheJournal: an upgrade does not wait for the journal, since
// clients wait meanwhile.
func TestUpgrade_DoesNotWaitForTheJournal(t *testing.T) {
	t.Parallel()
	m := startManySites(t, 1)
	db, err := sql.Open("sqlite3", filepath.Join(m.dirs.state, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lock, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	m.journal.Record(journal.Event{Kind: "test"})
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if err := m.upgrader.handOver(t.Context(), &successor{file: none}, nil); err == nil || !strings.Contains(err.Error(), "main thread is not served") {
		t.Errorf("got %v, want that it gets no further than a test can", err)
	}
	if log := mustRead(t, filepath.Join(m.dirs.logs, "multisite.log")); !strings.Contains(log, "journal not complete") {
		t.Errorf("it waited:\n%s", log)
	}
}

// TestUpgrade_WaitsForRun: a signal may come before everything exists that is handed over.
func TestUpgrade_WaitsForRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "sites.toml", "listen = '127.0.0.1:0'\n[site.blog]\nserver_name = 'blog.example.com'\nsettings = 'builtin:subdomain1'\nprocesses = { min = 0, max = 1 }\n")
	s, err := New(Options{Load: func() (*config.Config, error) { return config.Load(filepath.Join(dir, "sites.toml")) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	early := errors.New("nothing runs")
	stop(early)
	program := filepath.Join(dir, "none")
	if err := s.Upgrade(ctx, program, nil); !errors.Is(err, early) {
		t.Errorf("before Run: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background(), context.Background()) }()
	err = s.Upgrade(t.Context(), program, nil)
	if want := program + " cannot take over: no such file or directory; nothing has changed"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := s.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestUpgrade_FindsAllTasks: all tasks are found from the first moment on, since a
// second upgrade may follow the first one at once.
func TestUpgrade_FindsAllTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "listen = '127.0.0.1:0'\n[defaults]\nsettings = 'builtin:subdomain1'\nprocesses = { min = 0, max = 1 }\n"
	for n := range 20 {
		text += fmt.Sprintf("[site.s%[1]d]\nserver_name = 's%[1]d.example.com'\n[site.s%[1]d.cron]\nrare = { schedule = '@yearly', command = 'true' }\n", n)
	}
	write(t, dir, "sites.toml", text)
	s, err := New(Options{Load: func() (*config.Config, error) { return config.Load(filepath.Join(dir, "sites.toml")) }})
	if err != nil {
		t.Fatal(err)
	}
	s.startSites(t.Context())
	for _, site := range s.sites.all() {
		jobs := 0
		_ = site.tasks.Pause(func(_ task.ID, _ task.Handover, resume func()) error { // it returns no error
			jobs++
			resume()
			return nil
		})
		if jobs != 1 {
			t.Errorf("site %s: %d cron entries", site.name, jobs)
		}
		site.pool.Stop()
	}
	s.running.Wait()
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
