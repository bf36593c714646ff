package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// warmupTable holds what visitors of a site have taught about its warm-up. It came later
// than the rest of the schema, and a program of before does not mind it.
const warmupTable = `CREATE TABLE IF NOT EXISTS warmup (
	site    TEXT PRIMARY KEY,
	time_us INTEGER NOT NULL,
	learned TEXT NOT NULL
)`

// SetWarmup records what was learned about the warm-up of a site, in the caller's words.
func (j *Journal) SetWarmup(ctx context.Context, site, learned string) error {
	_, err := j.db.ExecContext(ctx, `INSERT INTO warmup (site, time_us, learned) VALUES (?, ?, ?)
		ON CONFLICT (site) DO UPDATE SET time_us = excluded.time_us, learned = excluded.learned`, site, time.Now().UnixMicro(), learned)
	if err != nil {
		return fmt.Errorf("remember the warm-up of site %s: %w", site, err)
	}
	return nil
}

// Warmup returns what was learned about the warm-up of a site; "": nothing was.
func (j *Journal) Warmup(ctx context.Context, site string) (learned string, err error) {
	err = j.db.QueryRowContext(ctx, "SELECT learned FROM warmup WHERE site = ?", site).Scan(&learned)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("recall the warm-up of site %s: %w", site, err)
	}
	return learned, nil
}
