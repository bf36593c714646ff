package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"
)

// enableWAL switches the file to write-ahead logging; it stays so. While
// several processes switch a new file at once SQLite answers "busy" without
// waiting for the busy timeout, so the wait is here.
func enableWAL(ctx context.Context, conn *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		var mode string
		err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		if err == nil && mode != "wal" {
			return fmt.Errorf("journal mode is %q, not wal: the file system cannot share memory", mode)
		}
		if !isBusy(err) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("switch to write-ahead logging: %w", err)
		}
	}
}

func isBusy(err error) bool {
	var sqlite sqlite3.Error
	return errors.As(err, &sqlite) && sqlite.Code == sqlite3.ErrBusy
}

// IsUnique reports whether a write failed because the value is taken already.
func IsUnique(err error) bool {
	var sqlite sqlite3.Error
	return errors.As(err, &sqlite) &&
		(sqlite.ExtendedCode == sqlite3.ErrConstraintUnique || sqlite.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// IsForeignKey reports whether a write failed because a row it refers to is
// missing, or because other rows still refer to it.
func IsForeignKey(err error) bool {
	var sqlite sqlite3.Error
	return errors.As(err, &sqlite) &&
		(sqlite.ExtendedCode == sqlite3.ErrConstraintForeignKey || sqlite.ExtendedCode == sqlite3.ErrConstraintTrigger)
}
