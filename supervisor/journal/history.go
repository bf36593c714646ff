package journal

import (
	"context"
	"fmt"
	"time"
)

const (
	// fine is how long each minute of the history is kept; then it becomes part of its hour.
	fine = 24 * time.Hour
	// maxPoints bounds the history in all: a point takes about 60 bytes.
	maxPoints = 100_000
)

// historyTable came later than the rest of the schema, and a program of before does not
// mind it. Times and spans are seconds.
const historyTable = `CREATE TABLE IF NOT EXISTS history (
	site     TEXT NOT NULL,
	span     INTEGER NOT NULL,
	time     INTEGER NOT NULL,
	workers  INTEGER NOT NULL,
	pss      INTEGER NOT NULL,
	requests INTEGER NOT NULL,
	errors   INTEGER NOT NULL,
	p50_us   INTEGER NOT NULL,
	p99_us   INTEGER NOT NULL,
	PRIMARY KEY (site, span, time)
) WITHOUT ROWID`

// Point is what a site was in a minute or an hour.
type Point struct {
	Site     string
	Time     time.Time     // when it began
	Span     time.Duration // a minute or an hour
	Workers  int           // at its end; of an hour the most
	PSS      int64         // at its end; of an hour the mean
	Requests int64
	Errors   int64
	P50      time.Duration // of an hour the mean of its minutes, by requests
	P99      time.Duration // of an hour the longest of its minutes
}

// RecordPoint records a minute. It never blocks and never fails.
func (j *Journal) RecordPoint(p Point) {
	j.enqueue(entry{
		query: "INSERT OR REPLACE INTO history (site, span, time, workers, pss, requests, errors, p50_us, p99_us) VALUES (?, 60, ?, ?, ?, ?, ?, ?, ?)",
		args:  []any{p.Site, p.Time.Truncate(time.Minute).Unix(), p.Workers, p.PSS, p.Requests, p.Errors, p.P50.Microseconds(), p.P99.Microseconds()},
	})
}

// Points returns the history of a site since from, of all for "", oldest first. If there
// are more than limit, the oldest are left out.
func (j *Journal) Points(ctx context.Context, site string, from time.Time, limit int) ([]Point, error) {
	if err := j.Flush(ctx); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	rows, err := j.db.QueryContext(ctx, `SELECT * FROM (SELECT site, time * 1000000, span, workers, pss, requests, errors, p50_us, p99_us FROM history
		WHERE (?1 = '' OR site = ?1) AND time >= ?2 ORDER BY time DESC LIMIT ?3) ORDER BY 2, 1`, site, since(from)/1e6, limit)
	return collect(rows, err, "history", func(p *Point) []any {
		return []any{&p.Site, micro{&p.Time}, length{&p.Span, time.Second}, &p.Workers, &p.PSS, &p.Requests, &p.Errors, length{&p.P50, time.Microsecond}, length{&p.P99, time.Microsecond}}
	})
}

// rollUp makes an hour of the minutes of each hour that ended a day before now, and deletes
// what is too old or too much.
func (j *Journal) rollUp(now time.Time) error {
	tx, err := j.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // has no effect after Commit
	before := now.Add(-fine).Truncate(time.Hour).Unix()
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`INSERT OR REPLACE INTO history SELECT site, 3600, time - time % 3600, max(workers), CAST(avg(pss) AS INTEGER), sum(requests), sum(errors),
			sum(p50_us * requests) / max(sum(requests), 1), max(p99_us) FROM history WHERE span = 60 AND time < ? GROUP BY site, time - time % 3600`, []any{before}},
		{"DELETE FROM history WHERE span = 60 AND time < ?", []any{before}},
		{"DELETE FROM history WHERE time < ?", []any{now.Add(-j.options.Keep).Unix()}},
		{"DELETE FROM history WHERE time <= (SELECT time FROM history ORDER BY time DESC LIMIT 1 OFFSET ?)", []any{min(maxPoints, j.options.MaxRows)}},
	} {
		if _, err := tx.Exec(step.query, step.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// length is a sql.Scanner that reads a duration from a column of units.
type length struct {
	d    *time.Duration
	unit time.Duration
}

// Scan sets the duration from v.
func (l length) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a duration is %T", v)
	}
	*l.d = time.Duration(n) * l.unit
	return nil
}
