package db

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

func open(t testing.TB, path string) *DB {
	t.Helper()
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func run(t testing.TB, d *DB, statement string) {
	t.Helper()
	if _, err := d.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func value(t testing.TB, d *DB, query string) string {
	t.Helper()
	var s string
	if err := d.QueryRowContext(t.Context(), query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

func TestOpen_SetsUpEveryConnection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "odd ?#% name.db")
	d := open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file: %v, %v", info, err)
	}
	for _, pool := range []*sql.DB{d.read, d.write} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "foreign_keys": "1", "synchronous": "1", "busy_timeout": "20000"} {
			var got string
			if err := pool.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %q, %v; want %q", pragma, got, err, want)
			}
		}
	}
	if _, err := d.read.ExecContext(t.Context(), "CREATE TABLE x (y)"); err == nil {
		t.Error("a reading connection wrote")
	}
}

// Each transaction reads before it writes. If they were DEFERRED, which is SQLite's
// default, one of two such transactions would fail at its write.
func TestWrite_LosesNoUpdate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	one, two := open(t, path), open(t, path) // as two processes would
	run(t, one, "CREATE TABLE counter (n INTEGER)")
	run(t, one, "INSERT INTO counter VALUES (0)")
	const each = 100
	add := func(d *DB) {
		for range each {
			err := d.Write(t.Context(), func(tx *sql.Tx) error {
				var n int
				if err := tx.QueryRow("SELECT n FROM counter").Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec("UPDATE counter SET n = ?", n+1)
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	}
	var all sync.WaitGroup
	for _, d := range []*DB{one, one, two, two} {
		all.Go(func() { add(d) })
	}
	all.Wait()
	if got := value(t, two, "SELECT n FROM counter"); got != "400" {
		t.Errorf("got %s, want 400", got)
	}
}

func TestWrite_RollsBack(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "a.db"))
	run(t, d, "CREATE TABLE t (x)")
	failed := errors.New("no")
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
			t.Error(err)
		}
		return failed
	})
	if !errors.Is(err, failed) || value(t, d, "SELECT count(*) FROM t") != "0" {
		t.Errorf("got %v and %s rows", err, value(t, d, "SELECT count(*) FROM t"))
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestMigrate_OnceInOrder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	files := fstest.MapFS{
		"migrations/0002_more.sql": file("ALTER TABLE t ADD y; INSERT INTO t VALUES (1, 2);"),
		"migrations/0001_init.sql": file("CREATE TABLE t (x);"),
		"migrations/README":        file("not SQL"),
	}
	all := []Migrations{{"one", files}, {"none", nil}}
	var starts sync.WaitGroup
	for range 5 { // processes that start together
		d := open(t, path)
		starts.Go(func() {
			if _, err := d.Migrate(t.Context(), all); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	d := open(t, path)
	if got := value(t, d, "SELECT group_concat(app || '/' || name) FROM migration"); got != "one/0001_init,one/0002_more" {
		t.Errorf("applied %s", got)
	}
	if got := value(t, d, "SELECT count(*) FROM t"); got != "1" {
		t.Errorf("a migration ran %s times", got)
	}
	files["migrations/0003_last.sql"] = file("DROP TABLE t;")
	applied, err := d.Migrate(t.Context(), all)
	if err != nil || !slices.Equal(applied, []string{"one/0003_last"}) {
		t.Errorf("got %v, %v; want the new one", applied, err)
	}
}

func TestMigrate_FailureLeavesNothing(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "a.db"))
	_, err := d.Migrate(t.Context(), []Migrations{{"blog", fstest.MapFS{"1.sql": file("CREATE TABLE t (x);"), "2.sql": file("CREATE TABL u;")}}})
	if err == nil || !strings.Contains(err.Error(), "migrate app blog: 2.sql: ") {
		t.Errorf("got %v", err)
	}
	if got := value(t, d, "SELECT count(*) FROM sqlite_schema"); got != "0" {
		t.Errorf("%s tables were left", got)
	}
}

func TestBackup_NeverOverwrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "a.db"))
	run(t, d, "CREATE TABLE t (x)")
	run(t, d, "INSERT INTO t VALUES (42)")
	target := filepath.Join(dir, "b.db")
	if err := d.Backup(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if got := value(t, open(t, target), "SELECT x FROM t"); got != "42" {
		t.Errorf("the copy has %s", got)
	}
	if err := d.Backup(t.Context(), target); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second copy: got %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Backup(cancelled, filepath.Join(dir, "c.db")); err == nil {
		t.Error("a cancelled copy did not fail")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.db*"))
	if err != nil || slices.ContainsFunc(left, func(name string) bool { return strings.Contains(name, "c.db") || strings.HasSuffix(name, ".partial") }) {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestTime_RoundTrips(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "a.db"))
	run(t, d, "CREATE TABLE t (at TEXT, end TEXT) STRICT")
	moment := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))
	if _, err := d.ExecContext(t.Context(), "INSERT INTO t VALUES (?, ?)", Time{moment}, Time{}); err != nil {
		t.Fatal(err)
	}
	var at, end Time
	if err := d.QueryRowContext(t.Context(), "SELECT at, end FROM t").Scan(&at, &end); err != nil {
		t.Fatal(err)
	}
	if !at.Equal(moment) || !end.IsZero() || value(t, d, "SELECT at FROM t") != "2026-03-04T04:06:07Z" {
		t.Errorf("got %v and %v", at, end)
	}
}

func TestUnique_NamesTheColumn(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "a.db"))
	run(t, d, "CREATE TABLE t (x UNIQUE, y NOT NULL)")
	run(t, d, "INSERT INTO t VALUES (1, 1)")
	_, err := d.ExecContext(t.Context(), "INSERT INTO t VALUES (1, 2)")
	if got := Unique(err); !slices.Equal(got, []string{"t.x"}) {
		t.Errorf("got %v for %v", got, err)
	}
	_, err = d.ExecContext(t.Context(), "INSERT INTO t VALUES (2, NULL)")
	if got := Unique(err); got != nil || err == nil {
		t.Errorf("got %v for %v", got, err)
	}
}
