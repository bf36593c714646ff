package supervisor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
)

// TestUpgrade_WaitsForRun: a signal may come before all is in place that another
// program would take over.
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
	if want := program + " can not take over: no such file or directory; nothing has changed"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := s.Down(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
