package supervisor

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

// startTrue starts a process that exits at once, and waits for it.
func startTrue(t *testing.T) *process.Process {
	t.Helper()
	output, err := process.NewOutput(nil, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(process.Command{Path: "/bin/true", Args: []string{"true"}, Dir: "/", Output: output})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	return p
}

// exited is a worker whose process has exited.
type exited struct {
	worker
	process *process.Process
}

func (e exited) OS() *process.Process { return e.process }

func TestDescribeExit(t *testing.T) {
	t.Parallel()
	p := startTrue(t)
	pid := "pid " + strconv.Itoa(p.PID())
	for _, tt := range []struct {
		name string
		e    pool.Event
		want string
	}{
		{"none has exited", pool.Event{}, ""},
		{"not started", pool.Event{ID: "blog/1", Reason: pool.ReasonCrash, Err: errors.New("no such file")},
			"blog/1 pid 0: crash, not started, after 0 requests in 0s"},
		{"before it was ready", pool.Event{ID: "blog/1", Reason: pool.ReasonCrash, Err: &process.LaunchError{Process: p}, Age: 1234567 * time.Microsecond},
			"blog/1 " + pid + ": crash, exit status 0 before it was ready, after 0 requests in 1.235s"},
		{"while it ran requests", pool.Event{ID: "blog/2", Reason: pool.ReasonOOM, Worker: exited{process: p}, Requests: 7, Running: []string{"GET /a", "GET /b"}},
			"blog/2 " + pid + ": " + string(pool.ReasonOOM) + ", exit status 0, while it ran GET /a, GET /b, after 7 requests in 0s"},
	} {
		if got := describeExit(tt.e); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestJournalEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	launch := &process.LaunchError{Problem: "ValueError: x", Detail: "Traceback:\n  y\n"}
	got := journalEvent("blog", pool.Event{Kind: pool.WorkerFailed, Time: at, ID: "blog/1", Reason: pool.ReasonCrash, Err: launch})
	if got.Site != "blog" || got.Worker != "blog/1" || !got.Time.Equal(at) || got.Kind != string(pool.WorkerFailed) || got.Reason != string(pool.ReasonCrash) {
		t.Errorf("got %+v", got)
	}
	if !strings.HasPrefix(got.Detail, "blog/1 pid 0: crash, not started") || !strings.HasSuffix(got.Detail, "\nValueError: x\nTraceback:\n  y") {
		t.Errorf("detail %q, want the exit and the traceback", got.Detail)
	}
	if got := journalEvent("blog", pool.Event{Kind: pool.WorkerReady, ID: "blog/1"}); got.Detail != "" {
		t.Errorf("a worker that is ready has the detail %q", got.Detail)
	}
}

func TestSeverity(t *testing.T) {
	t.Parallel()
	for reason, want := range map[pool.Reason]slog.Level{
		pool.ReasonCrash: slog.LevelError, pool.ReasonOOM: slog.LevelError,
		pool.ReasonRequestTimeout: slog.LevelWarn, pool.ReasonMemoryLimit: slog.LevelWarn, pool.ReasonCPUTimeLimit: slog.LevelWarn,
		pool.ReasonReload: slog.LevelInfo, pool.ReasonStop: slog.LevelInfo,
	} {
		if got := severity(pool.Event{Reason: reason}); got != want {
			t.Errorf("%s: got %v, want %v", reason, got, want)
		}
	}
}

func TestExitAttrs(t *testing.T) {
	t.Parallel()
	e := pool.Event{ID: "blog/1", Reason: pool.ReasonStop, Age: time.Second, Requests: 3, Worker: exited{process: startTrue(t)}, Running: []string{"GET /a"}}
	var got strings.Builder
	slog.New(slog.NewTextHandler(&got, nil)).Info("x", exitAttrs(e)...)
	if want := `reason="supervisor stop" exit="exit status 0" age=1s requests=3 running="GET /a"` + "\n"; severity(e) != slog.LevelInfo || !strings.HasSuffix(got.String(), want) || !strings.Contains(got.String(), " worker=blog/1 pid=") {
		t.Errorf("got %q, want %q", &got, want)
	}
}

// TestExitAttrs_Overran: a worker that was killed because it did not exit is logged with
// the limit.
func TestExitAttrs_Overran(t *testing.T) {
	t.Parallel()
	deaf := make(chan string, 1)
	output, err := process.NewOutput(nil, func(line string) { deaf <- line })
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(process.Command{Path: "/bin/sh", Args: []string{"sh", "-c", "trap '' TERM; echo deaf; sleep 1000"}, Dir: "/", Output: output})
	if err != nil {
		t.Fatal(err)
	}
	<-deaf
	p.Stop(time.Millisecond)
	e := pool.Event{ID: "blog/1", Reason: pool.ReasonReload, Worker: exited{process: p}}
	var got strings.Builder
	slog.New(slog.NewTextHandler(&got, nil)).Info("x", exitAttrs(e)...)
	if want := `reason=reload exit="signal killed (9)" age=0s requests=0 limit=shutdown_timeout` + "\n"; severity(e) != slog.LevelWarn || !strings.HasSuffix(got.String(), want) {
		t.Errorf("level %v, got %q, want %q", severity(e), &got, want)
	}
}
