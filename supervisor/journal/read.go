package journal

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Filter selects events. The zero value selects the last 100.
type Filter struct {
	Site  string // "" for every site
	Kind  string // "" for every kind
	Since time.Time
	Limit int // default 100
}

// Events returns the events that match f, newest first. Everything recorded before the
// call is included.
func (j *Journal) Events(ctx context.Context, f Filter) ([]Event, error) {
	if err := j.Flush(ctx); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	rows, err := j.db.QueryContext(ctx, `SELECT time_us, site, worker, pid, kind, reason, detail FROM event
		WHERE (?1 = '' OR site = ?1) AND (?2 = '' OR kind = ?2) AND time_us >= ?3 ORDER BY id DESC LIMIT ?4`,
		f.Site, f.Kind, since(f.Since), cmp.Or(f.Limit, 100))
	return collect(rows, err, "events", func(e *Event) []any {
		return []any{micro{&e.Time}, &e.Site, &e.Worker, &e.PID, &e.Kind, &e.Reason, &e.Detail}
	})
}

// Samples returns the memory samples of a site since from, oldest first.
func (j *Journal) Samples(ctx context.Context, site string, from time.Time) ([]Sample, error) {
	if err := j.Flush(ctx); err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	rows, err := j.db.QueryContext(ctx, `SELECT time_us, site, workers, pss, uss, rss, zygote_pss FROM sample
		WHERE site = ? AND time_us >= ? ORDER BY time_us`, site, since(from))
	return collect(rows, err, "samples", func(s *Sample) []any {
		return []any{micro{&s.Time}, &s.Site, &s.Workers, &s.PSS, &s.USS, &s.RSS, &s.ZygotePSS}
	})
}

// SetScale records the number of processes that a site was scaled to.
func (j *Journal) SetScale(ctx context.Context, site string, processes int) error {
	_, err := j.db.ExecContext(ctx, `INSERT INTO scale (site, processes) VALUES (?, ?)
		ON CONFLICT (site) DO UPDATE SET processes = excluded.processes`, site, processes)
	if err != nil {
		return fmt.Errorf("remember scale of site %s: %w", site, err)
	}
	return nil
}

// ForgetScale removes the scale override of a site, so that sites.toml counts again.
func (j *Journal) ForgetScale(ctx context.Context, site string) error {
	if _, err := j.db.ExecContext(ctx, "DELETE FROM scale WHERE site = ?", site); err != nil {
		return fmt.Errorf("forget scale of site %s: %w", site, err)
	}
	return nil
}

// Scales returns the number of processes of every site that has a scale override.
func (j *Journal) Scales(ctx context.Context) (map[string]int, error) {
	type scale struct {
		site      string
		processes int
	}
	rows, err := j.db.QueryContext(ctx, "SELECT site, processes FROM scale")
	all, err := collect(rows, err, "scales", func(s *scale) []any { return []any{&s.site, &s.processes} })
	scales := make(map[string]int, len(all))
	for _, s := range all {
		scales[s.site] = s.processes
	}
	return scales, err
}

// KeepOnly forgets what was remembered for sites that are not among these: scale overrides,
// warm-ups and maintenance. Events and samples are history, and stay until they are old.
func (j *Journal) KeepOnly(ctx context.Context, sites []string) error {
	names, err := json.Marshal(sites)
	if err != nil {
		return err
	}
	for _, table := range []string{"scale", "warmup", "maintenance"} {
		if _, err := j.db.ExecContext(ctx, "DELETE FROM "+table+" WHERE site NOT IN (SELECT value FROM json_each(?))", string(names)); err != nil {
			return fmt.Errorf("forget removed sites: %w", err)
		}
	}
	return nil
}

func since(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// micro is a sql.Scanner that reads a time from a column of microseconds.
type micro struct{ t *time.Time }

// Scan sets the time from v.
func (m micro) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is %T", v)
	}
	*m.t = time.UnixMicro(us)
	return nil
}

// collect reads all rows into values of T, whose fields returns where the columns go.
// err is the error of the query.
func collect[T any](rows *sql.Rows, err error, what string, fields func(*T) []any) ([]T, error) {
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var v T
		if err := rows.Scan(fields(&v)...); err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return all, nil
}
