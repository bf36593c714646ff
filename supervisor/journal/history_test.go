package journal

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

func points(t *testing.T, j *Journal, site string) []Point {
	t.Helper()
	all, err := j.Points(t.Context(), site, time.Time{}, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestHistory_RollsUp: minutes become hours a day later, with the sums that they had, and
// only once.
func TestHistory_RollsUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path, Options{Now: clock})
	for i := range 120 { // the hours from 10 to 12
		j.RecordPoint(Point{Site: "shop", Time: noon.Add(time.Duration(i-120)*time.Minute + 7*time.Second), Workers: 1 + i%3, PSS: int64(1000 + i%2), Requests: 10, Errors: 1, P50: time.Millisecond, P99: time.Duration(i) * time.Millisecond})
	}
	if got := points(t, j, "shop"); len(got) != 120 || got[0].Span != time.Minute || !got[0].Time.Equal(noon.Add(-2*time.Hour)) {
		t.Fatalf("got %d points, the first %+v", len(got), got[:1])
	}
	now := noon.Add(fine - time.Hour + 10*time.Minute) // the hour from 10 is a day old, that from 11 is not
	for range 2 {
		if err := j.rollUp(now); err != nil {
			t.Fatal(err)
		}
	}
	got := points(t, j, "shop")
	want := Point{Site: "shop", Time: got[0].Time, Span: time.Hour, Workers: 3, PSS: 1000, Requests: 600, Errors: 60, P50: time.Millisecond, P99: 59 * time.Millisecond}
	if len(got) != 61 || got[0] != want || !got[0].Time.Equal(noon.Add(-2*time.Hour)) || got[1].Span != time.Minute {
		t.Errorf("got %d points, the first %+v, want %+v", len(got), got[0], want)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if again := points(t, open(t, path, Options{Now: clock}), "shop"); len(again) != 61 {
		t.Errorf("after reopening there are %d points, want 61", len(again))
	}
	j = open(t, path, Options{Now: clock})
	if err := j.rollUp(noon.Add(31 * 24 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := points(t, j, ""); len(got) != 0 {
		t.Errorf("a month later there are %d points", len(got))
	}
}

// TestHistory_IsBounded: more sites than there is room for leave a shorter history.
func TestHistory_IsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path, Options{Now: clock})
	_, err := j.db.Exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 149999)
		INSERT INTO history SELECT 'a-site-with-a-name-' || (i % 200), 60, ? - (i / 200) * 60, 5, 123456789, 1000, 10, 12345, 1234567 FROM n`, noon.Unix())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.rollUp(noon); err != nil {
		t.Fatal(err)
	}
	if got := points(t, j, ""); len(got) > maxPoints || len(got) < maxPoints-200 || !got[len(got)-1].Time.Equal(noon) {
		t.Errorf("got %d points, the last of %v", len(got), got[len(got)-1].Time)
	}
	if _, err := j.db.Exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"); err != nil { // what is kept, without the pages that are free
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 10_000_000 {
		t.Errorf("the file has %d bytes (%v), want at most 10 MB", info.Size(), err)
	}
}
