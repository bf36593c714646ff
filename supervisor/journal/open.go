package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"
)

// version is the version of the schema below. The file keeps it as user_version.
const version = 1

const schema = `
CREATE TABLE event (
	id      INTEGER PRIMARY KEY,
	time_us INTEGER NOT NULL,
	site    TEXT NOT NULL,
	worker  TEXT NOT NULL,
	pid     INTEGER NOT NULL,
	kind    TEXT NOT NULL,
	reason  TEXT NOT NULL,
	detail  TEXT NOT NULL
);
CREATE INDEX event_site ON event (site, id);
CREATE TABLE sample (
	id         INTEGER PRIMARY KEY,
	time_us    INTEGER NOT NULL,
	site       TEXT NOT NULL,
	workers    INTEGER NOT NULL,
	pss        INTEGER NOT NULL,
	uss        INTEGER NOT NULL,
	rss        INTEGER NOT NULL,
	zygote_pss INTEGER NOT NULL
);
CREATE INDEX sample_site ON sample (site, time_us);
CREATE TABLE scale (
	site      TEXT PRIMARY KEY,
	processes INTEGER NOT NULL
);
PRAGMA user_version = 1;
`

// errUnusable says that a file is damaged, or was written by another program or a newer
// multisite.
var errUnusable = errors.New("not a journal of this version")

func openOrReplace(path string, log *slog.Logger) (*sql.DB, error) {
	db, err := openFile(path)
	if errors.Is(err, errUnusable) {
		aside := path + ".unusable-" + time.Now().UTC().Format("20060102T150405.000000")
		log.Warn("journal moved aside", "path", path, "to", aside, "error", err)
		if err = moveAside(path, aside); err == nil {
			db, err = openFile(path)
		}
	}
	if err == nil {
		return db, nil
	}
	log.Warn("journal is kept in memory and lost with this run", "path", path, "error", err)
	return openDB("file::memory:?")
}

// openFile opens the journal at path. It creates the file itself, readable by its owner
// alone, since SQLite gives the files beside it the same mode.
func openFile(path string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	f.Close()
	return openDB("file:" + (&url.URL{Path: path}).EscapedPath() + "?_journal_mode=WAL&_synchronous=NORMAL&")
}

func openDB(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", dsn+"_busy_timeout=2000&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	db.SetMaxOpenConns(1) // reads are rare, and a second connection could lock the writer out
	if err := prepare(db); err != nil {
		db.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return db, nil
}

// prepare checks the file and creates the tables if it is empty.
func prepare(db *sql.DB) error {
	var found, tables int
	var health string
	if err := db.QueryRow("PRAGMA user_version").Scan(&found); err != nil {
		return classify(err)
	}
	if err := db.QueryRow("PRAGMA quick_check(1)").Scan(&health); err != nil {
		return classify(err)
	}
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return classify(err)
	}
	switch {
	case health != "ok":
		return fmt.Errorf("%w: %s", errUnusable, health)
	case found == version:
		_, err := db.Exec(warmupTable + ";" + maintenanceTable + ";" + historyTable)
		return classify(err)
	case found != 0 || tables != 0:
		return fmt.Errorf("%w: version %d, this multisite has %d", errUnusable, found, version)
	}
	_, err := db.Exec("BEGIN IMMEDIATE;" + schema + warmupTable + ";" + maintenanceTable + ";" + historyTable + ";COMMIT;")
	return classify(err)
}

// classify wraps errors of SQLite about the file itself in errUnusable.
func classify(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && (e.Code == sqlite3.ErrNotADB || e.Code == sqlite3.ErrCorrupt) {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

// moveAside renames the file and the files that SQLite keeps beside it.
func moveAside(path, aside string) error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move journal aside: %w", err)
		}
	}
	return nil
}
