package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestJournal_SurvivesReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd ?#% name", "journal.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	event := Event{Time: time.Now().Truncate(time.Microsecond), Site: "blog", Worker: "blog/1", PID: 7, Kind: "worker exited", Reason: "signal killed (9)", Detail: `{"url":"/"}`}
	sample := Sample{Time: event.Time, Site: "blog", Workers: 5, PSS: 4, USS: 3, RSS: 9, ZygotePSS: 2}
	j := open(t, path, Options{})
	j.Record(event)
	j.RecordSample(sample)
	if err := j.SetScale(t.Context(), "blog", 3); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v (%v), want 0600", st.Mode(), err)
	}

	j = open(t, path, Options{})
	if got := events(t, j, Filter{}); len(got) != 1 || got[0] != event {
		t.Errorf("got %+v, want %+v", got, event)
	}
	got, err := j.Samples(t.Context(), "blog", time.Time{})
	if err != nil || len(got) != 1 || got[0] != sample {
		t.Errorf("got %+v (%v), want %+v", got, err, sample)
	}
	checkScales(t, j, map[string]int{"blog": 3})
}

func TestJournal_Scales(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "j.db"), Options{})
	for _, n := range []int{3, 8} {
		if err := j.SetScale(t.Context(), "blog", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.SetScale(t.Context(), "shop", 0); err != nil {
		t.Fatal(err)
	}
	checkScales(t, j, map[string]int{"blog": 8, "shop": 0})
	if err := j.ForgetScale(t.Context(), "blog"); err != nil {
		t.Fatal(err)
	}
	checkScales(t, j, map[string]int{"shop": 0})
}

func TestEvents_Filter(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "j.db"), Options{})
	begin := time.Now()
	for i := range 150 {
		j.Record(Event{Time: begin.Add(time.Duration(i) * time.Second), Site: []string{"a", "b"}[i%2], Kind: []string{"x", "y", "z"}[i%3], PID: i})
	}
	for _, test := range []struct {
		name  string
		f     Filter
		count int
		first int
	}{
		{"all", Filter{}, 100, 149},
		{"limit", Filter{Limit: 3}, 3, 149},
		{"site", Filter{Site: "a", Limit: 1000}, 75, 148},
		{"kind", Filter{Kind: "z", Limit: 1000}, 50, 149},
		{"both", Filter{Site: "a", Kind: "x"}, 25, 144},
		{"since", Filter{Since: begin.Add(140 * time.Second)}, 10, 149},
		{"none", Filter{Site: "c"}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := events(t, j, test.f)
			if len(got) != test.count || test.count > 0 && got[0].PID != test.first {
				t.Errorf("got %d events %+v, want %d beginning with %d", len(got), got, test.count, test.first)
			}
		})
	}
}

func TestOpen_MovesUnusableFilesAside(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  string
	}{
		{"text", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "file is not a database"},
		{"damaged", damage, "not a journal of this version: "},
		{"newer", func(t *testing.T, path string) { execute(t, path, "PRAGMA user_version = 99") }, "version 99, this multisite has 1"},
		{"another program's", func(t *testing.T, path string) {
			execute(t, path, "DROP TABLE event; PRAGMA user_version = 0")
		}, "version 0, this multisite has 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.db")
			test.spoil(t, path)
			spoiled, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			log := new(logBuffer)
			j := open(t, path, Options{Log: log.logger()})
			j.Record(Event{Kind: "works"})
			if got := events(t, j, Filter{}); len(got) != 1 {
				t.Errorf("got %v, want the new event alone", got)
			}
			if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "journal moved aside") || !strings.Contains(got, test.want) {
				t.Errorf("got log %q, want one warning with %q", got, test.want)
			}
			aside, err := filepath.Glob(path + ".unusable-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("got %q (%v), want one file moved aside", aside, err)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, spoiled) {
				t.Errorf("the file moved aside is not the one that was there (%v)", err)
			}
		})
	}
}

func TestOpen_WithoutAFile(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	j := open(t, filepath.Join(t.TempDir(), "absent", "journal.db"), Options{Log: log.logger()})
	j.Record(Event{Kind: "works"})
	if got := events(t, j, Filter{}); len(got) != 1 {
		t.Errorf("got %v, want one event", got)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "kept in memory") {
		t.Errorf("got log %q, want one warning", got)
	}
}

func TestRecord_NeverWaits(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	j := open(t, filepath.Join(t.TempDir(), "j.db"), Options{Buffer: 10, Log: log.logger()})
	conn, err := j.db.Conn(t.Context()) // the only one, so the writer waits
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxBatch + 1000 { // more than the batch in hand and the buffer
		j.Record(Event{PID: i})
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	got := events(t, j, Filter{Limit: 10_000})
	if len(got) < 10 || len(got) > maxBatch+10 {
		t.Errorf("got %d events, want what the buffer holds", len(got))
	}
	j.Record(Event{Kind: "later"})
	if got := events(t, j, Filter{Kind: "later"}); len(got) != 1 {
		t.Errorf("got %v, want one event", got)
	}
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || strings.Count(got, "journal writes again") != 1 {
		t.Errorf("got log %q, want one warning and one all-clear", got)
	}
}

func TestRecord_FullDisk(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	j := open(t, filepath.Join(t.TempDir(), "j.db"), Options{Log: log.logger()})
	pages(t, j, 1) // SQLite then takes the present size as the limit
	for range 5 {
		j.Record(Event{Kind: "lost", Detail: strings.Repeat("x", 100_000)})
		events(t, j, Filter{})
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "database or disk is full") {
		t.Errorf("got log %q, want one warning", got)
	}
	pages(t, j, 1_000_000)
	j.Record(Event{Kind: "kept"})
	if got := events(t, j, Filter{}); len(got) != 1 || got[0].Kind != "kept" {
		t.Errorf("got %d events, want the last alone", len(got))
	}
	if got := log.String(); !strings.Contains(got, "journal writes again") || !strings.Contains(got, "dropped=5") {
		t.Errorf("got log %q, want 5 dropped", got)
	}
}

func TestPrune_ByAgeAndNumber(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path, Options{})
	for i := range 50 {
		j.Record(Event{Time: time.Now().Add(-31 * 24 * time.Hour), Kind: "old"})
		j.Record(Event{Kind: "new", PID: i})
		j.RecordSample(Sample{Site: "blog", Workers: i})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path, Options{MaxRows: 20})
	j.Record(Event{Kind: "new", PID: 50}) // the first write prunes
	got := events(t, j, Filter{Limit: 1000})
	if len(got) == 0 || len(got) > 20 || got[0].PID != 50 {
		t.Errorf("got %d events beginning with %+v, want at most 20, the newest first", len(got), got)
	}
	for _, e := range got {
		if e.Kind == "old" {
			t.Fatalf("got an event of %v", e.Time)
		}
	}
	if s, err := j.Samples(t.Context(), "blog", time.Time{}); err != nil || len(s) != 20 || s[0].Workers != 30 {
		t.Errorf("got %d samples (%v), want the last 20", len(s), err)
	}
}

func TestJournal_CloseWhileRecording(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path, Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				j.Record(Event{Kind: "x"})
			}
		})
	}
	j.Record(Event{Kind: "before"})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	j.Record(Event{Kind: "after"})
	if _, err := j.Events(t.Context(), Filter{}); err == nil {
		t.Error("a closed journal gave events")
	}
	if err := j.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if got := events(t, open(t, path, Options{}), Filter{Kind: "before"}); len(got) != 1 {
		t.Errorf("got %v, want what was recorded before Close", got)
	}
}

func TestJournal_CloseWritesWhatWaits(t *testing.T) {
	t.Parallel()
	const n = 20 * maxBatch
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, path, Options{Buffer: n})
	conn, err := j.db.Conn(t.Context()) // the writer waits
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		j.Record(Event{Kind: "x"})
	}
	j.once.Do(func() { close(j.stop) }) // what Close does first
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got := events(t, open(t, path, Options{}), Filter{Limit: 2 * n}); len(got) != n {
		t.Errorf("got %d events, want %d", len(got), n)
	}
}

func BenchmarkRecord(b *testing.B) {
	j, err := Open(filepath.Join(b.TempDir(), "j.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for b.Loop() {
		j.Record(Event{Site: "blog", Worker: "blog/1", Kind: "worker exited"})
	}
}

func open(t *testing.T, path string, o Options) *Journal {
	t.Helper()
	j, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func events(t *testing.T, j *Journal, f Filter) []Event {
	t.Helper()
	got, err := j.Events(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func checkScales(t *testing.T, j *Journal, want map[string]int) {
	t.Helper()
	got, err := j.Scales(t.Context())
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
}

// execute runs SQL on a journal at path and leaves it closed.
func execute(t *testing.T, path, query string) {
	t.Helper()
	j := open(t, path, Options{})
	if _, err := j.db.ExecContext(context.Background(), query); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites the pages behind the first one.
func damage(t *testing.T, path string) {
	t.Helper()
	execute(t, path, "INSERT INTO scale VALUES ('blog', 1)")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xee}, 16<<10), 4096); err != nil {
		t.Fatal(err)
	}
}

func pages(t *testing.T, j *Journal, n int) {
	t.Helper()
	if _, err := j.db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
		t.Fatal(err)
	}
}

// logBuffer collects log lines without their time.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestKeepOnly: of a removed site only the history stays.
func TestKeepOnly(t *testing.T) {
	t.Parallel()
	j, err := Open(filepath.Join(t.TempDir(), "journal.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	for _, site := range []string{"blog", "shop", "it's"} {
		if err := errors.Join(j.SetScale(t.Context(), site, 3), j.SetWarmup(t.Context(), site, "/")); err != nil {
			t.Fatal(err)
		}
		j.Record(Event{Site: site, Kind: "ready"})
	}
	if err := j.KeepOnly(t.Context(), []string{"it's", "new"}); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Scales(t.Context()); err != nil || !maps.Equal(got, map[string]int{"it's": 3}) {
		t.Errorf("scales %v, %v", got, err)
	}
	for site, want := range map[string]string{"blog": "", "shop": "", "it's": "/"} {
		if got, err := j.Warmup(t.Context(), site); got != want || err != nil {
			t.Errorf("warm-up of %s: %q, %v, want %q", site, got, err, want)
		}
	}
	if got, err := j.Events(t.Context(), Filter{}); err != nil || len(got) != 3 {
		t.Errorf("events %+v, %v", got, err)
	}
}
