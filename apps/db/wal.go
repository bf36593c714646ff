package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// enableWAL switches the file to write-ahead logging, for good. If several processes switch
// a new file at once, SQLite returns "busy" without waiting for the busy timeout, so
// enableWAL waits itself.
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
