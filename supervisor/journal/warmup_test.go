package journal

import (
	"path/filepath"
	"testing"
	"time"
)

// TestWarmup_Lasts: it is there after a restart, also in a file that an older program has
// made, and goes when nobody has visited the site for long.
func TestWarmup_Lasts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	open := func(o Options) *Journal {
		t.Helper()
		j, err := Open(path, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return j
	}
	want := func(j *Journal, want string) {
		t.Helper()
		if got, err := j.Warmup(t.Context(), "blog"); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	j := open(Options{})
	want(j, "")
	for _, learned := range []string{"one", "two"} {
		if err := j.SetWarmup(t.Context(), "blog", learned); err != nil {
			t.Fatal(err)
		}
		want(j, learned)
	}
	j.Close()
	j = open(Options{})
	want(j, "two")
	if _, err := j.db.Exec("DROP TABLE warmup"); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = open(Options{Keep: time.Nanosecond})
	if err := j.SetWarmup(t.Context(), "blog", "three"); err != nil {
		t.Fatal(err)
	}
	want(j, "three")
	j.prune()
	want(j, "")
}
