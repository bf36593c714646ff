package goapp

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/multisite/multisite/worker/account"
)

// again returns w as the next image of the supervisor has it, and the error of its link.
func again(w *Worker, as *account.Account) (*Worker, <-chan error) {
	failed := make(chan error, 1)
	return &Worker{Process: w.Process, link: relink(w.controlPath, as, func(err error) { failed <- err })}, failed
}

// TestRelink: a second control connection works as the first, beside it.
func TestRelink(t *testing.T) {
	t.Parallel()
	w := launch(t, options(t, "app"))
	get(t, w, "/")
	second, _ := again(w, nil)
	for _, asked := range []*Worker{w, second} {
		if s, err := asked.Stats(t.Context()); err != nil || s.Requests != 1 || asked.Stuck(0) {
			t.Errorf("got %+v (%v), stuck %v, want one request", s, err, asked.Stuck(0))
		}
	}
	c, err := second.link.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-w.Done()
	if e := w.Exit(); e.Code != 0 || e.Signal != 0 {
		t.Errorf("got %v of a drained worker", e)
	}
}

// TestRelink_Fails: Relink fails if nobody answers, or a process of another user does.
// Such a worker is taken for stuck.
func TestRelink_Fails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		as      *account.Account
		prepare func(*testing.T, *Worker)
	}{
		{"stopped", nil, func(t *testing.T, w *Worker) {
			if err := w.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}},
		{"no socket", nil, func(_ *testing.T, w *Worker) { w.controlPath = filepath.Join(filepath.Dir(w.path), "none") }},
		{"a link", nil, func(t *testing.T, w *Worker) {
			link := w.controlPath + ".link"
			if err := os.Symlink(w.controlPath, link); err != nil {
				t.Fatal(err)
			}
			w.controlPath = link
		}},
		{"another's", &account.Account{Name: "stranger", UID: 4711}, func(*testing.T, *Worker) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := launch(t, options(t, "app"))
			test.prepare(t, w)
			left, failed := again(w, test.as)
			if !left.Stuck(0) {
				t.Error("it is not taken for stuck")
			}
			if _, err := left.Stats(t.Context()); err == nil {
				t.Error("it gave stats")
			}
			if err := <-failed; err == nil {
				t.Error("it failed without an error")
			}
		})
	}
}
