package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/worker/process"
)

func problemsOf(err error) (problems tomlfile.Problems) {
	errors.As(err, &problems)
	return problems
}

// shell is a program that does what its arguments say.
const shell = "/bin/sh"

// printing returns the arguments of a shell that prints text and exits with a code.
func printing(text string, code int) []string {
	return []string{"-c", fmt.Sprintf("cat <<'END'\n%s\nEND\nexit %d", text, code)}
}

func TestFindSuccessor(t *testing.T) {
	t.Parallel()
	const good = `{"handover": 1, "version": "v2", "state_dir": "/s", "listen": [":80"]}`
	for _, tt := range []struct {
		name, text string
		code       int
		want       string // "": it can take over
	}{
		{"it can", good, 0, ""},
		{"it says more before", "some warning\n" + good, 0, ""},
		{"another version of the handover", strings.Replace(good, "1", "1000", 1), 0, "it understands version 1000 of the handover, this is version 1"},
		{"another state directory", strings.Replace(good, "/s", "/t", 1), 0, "state_dir has changed in sites.toml"},
		{"other addresses", strings.Replace(good, ":80", ":81", 1), 0, "listen has changed in sites.toml"},
		{"a mistake", "multisite: error: unknown key\nmultisite: hint: none", 2, "unknown key"},
		{"it fails without a word", "", 3, "exit status 3"},
		{"another program", "hello", 0, "it is not a multisite that knows how"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := sitesWithoutWorkers(t)
			s.cfg = &config.Config{StateDir: "/s", Listen: []string{":80"}}
			u := &upgrader{super: s, takeover: printing(tt.text, tt.code)}
			n, err := u.findSuccessor(t.Context(), shell)
			if tt.want == "" {
				if err != nil || n.Version != "v2" {
					t.Fatalf("got %+v, %v", n, err)
				}
				n.file.Close()
				return
			}
			if want := shell + " cannot take over: " + tt.want + "; nothing has changed"; fmt.Sprint(err) != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// TestAsk_IsGivenUp: when the context ends, the program is killed.
func TestAsk_IsGivenUp(t *testing.T) {
	t.Parallel()
	late := errors.New("late")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(late)
	u := &upgrader{super: &Supervisor{}, takeover: []string{"-c", "exec sleep 1000"}}
	if _, err := u.ask(ctx, shell, shell); !errors.Is(err, late) {
		t.Errorf("got %v", err)
	}
}

func TestFailureReason(t *testing.T) {
	t.Parallel()
	lines := []string{"first", "multisite: error: the second", "multisite: error: the third"}
	if got := failureReason(lines, process.Exit{}); got != "the second" {
		t.Errorf("got %q", got)
	}
	if got := failureReason(lines[:1], process.Exit{Code: 3}); got != "exit status 3" {
		t.Errorf("got %q", got)
	}
	if got := reasonOf(&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}); got != "open /x: file does not exist" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Open("/nowhere/x"); reasonOf(err) != "no such file or directory" {
		t.Errorf("got %q", reasonOf(err))
	}
}

func TestSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "")
	write(t, dir, "b", "")
	a := filepath.Join(dir, "a")
	link := a + ".link"
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	if !sameFile(a, link) || sameFile(a, filepath.Join(dir, "b")) || sameFile(a, a+".missing") {
		t.Error("want that a link is the same file, and others are not")
	}
}

// TestPrepareTakeover writes what the new program will need, where the state directory
// of the running supervisor is.
func TestPrepareTakeover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := &config.Config{StateDir: filepath.Join(dir, "named"), Listen: []string{":80"}, Sites: []*config.Site{{Kind: config.WSGI}}}
	running := filepath.Join(dir, "running")
	got, err := PrepareTakeover(cfg, running, "v2")
	if err != nil || got.Handover != handoverVersion || got.Version != "v2" || got.StateDir != cfg.StateDir || !slices.Equal(got.Listen, cfg.Listen) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, path := range []string{filepath.Join(running, statedir.RunDir), statedir.CodeDir(running)} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(cfg.StateDir); err == nil {
		t.Error("the directory that sites.toml names was made, too")
	}
	if _, err := PrepareTakeover(cfg, "", "v2"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(cfg.StateDir); err != nil {
		t.Errorf("for a version that does not name its directory: %v", err)
	}
}

// TestQuiescing_UndoesInReverse: all steps are undone from last to first, and some of
// them before the next attempt.
func TestQuiescing_UndoesInReverse(t *testing.T) {
	t.Parallel()
	var did []int
	q := &quiescing{}
	for i := range 4 {
		q.did(func() { did = append(did, i) })
	}
	q.undoTo(2)
	if !slices.Equal(did, []int{3, 2}) {
		t.Errorf("undid %v", did)
	}
	q.undo()
	q.undo() // nothing is left
	if !slices.Equal(did, []int{3, 2, 1, 0}) {
		t.Errorf("undid %v", did)
	}
}

// TestQuiescing_HoldsRolls: it waits for one that runs, and lets none begin.
func TestQuiescing_HoldsRolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, other := &site{rolling: make(chan struct{}, 1)}, &site{rolling: make(chan struct{}, 1)}
		s := &Supervisor{}
		s.sites.sites = []*site{one, other}
		other.rolling <- struct{}{} // it rolls
		q := &quiescing{super: s}
		held := make(chan error, 1)
		go func() { held <- q.holdRolls(t.Context()) }()
		time.Sleep(time.Hour)
		select {
		case err := <-held:
			t.Fatalf("it has not waited: %v", err)
		default:
		}
		<-other.rolling
		if err := <-held; err != nil {
			t.Error(err)
		}
		for _, t2 := range s.sites.all() {
			next := &generation{sockets: "/nowhere/sockets"}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := t2.roll(ctx, next, "", nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a roll has begun: %v", err)
			}
			cancel()
		}
		q.undo()
		for _, t2 := range s.sites.all() {
			t2.rolling <- struct{}{} // a roll can begin
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := (&quiescing{super: s}).holdRolls(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSleepAndLongestGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		sleep(t.Context(), time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sleep(ctx, time.Hour)
		if took := time.Since(begin); took != time.Minute+time.Second {
			t.Errorf("slept %v, want a minute, and a second until the context has ended", took)
		}
	})
	sites := []*site{{cfg: &config.Site{GracefulTimeout: 3}}, {cfg: &config.Site{GracefulTimeout: 7}}, {cfg: &config.Site{}}}
	if got := longestGrace(sites); got != 7 {
		t.Errorf("got %v", got)
	}
}
