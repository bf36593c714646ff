package admin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

// record is one row as it is stored.
type record struct {
	ID      int64
	Version int64
	Title   string
	Raw     map[string]any    // by field, as stored
	Shown   map[string]any    // by field, with the title of a referenced row instead of its id
	Chosen  map[string]string // by Many field, the chosen ids as "1,2"
}

// readRecord reads a row with all that a form shows. It returns page.ErrNotFound if
// there is no such row.
func readRecord(ctx context.Context, from db.Queryer, m model.Model, id int64) (record, error) {
	columns := []string{"version", m.Title}
	for _, f := range m.Fields {
		columns = append(columns, rawSQL(m, f), shownSQL(m, f))
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	query := fmt.Sprintf("SELECT %s FROM %s WHERE %s.id = ?", strings.Join(columns, ", "), m.Table, m.Table)
	err := from.QueryRowContext(ctx, query, id).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, page.ErrNotFound
	}
	if err != nil {
		return record{}, fmt.Errorf("read %s %d: %w", m.Label, id, err)
	}
	version, _ := values[0].(int64)
	rec := record{ID: id, Version: version, Title: text(values[1]), Raw: map[string]any{}, Shown: map[string]any{}, Chosen: map[string]string{}}
	for i, f := range m.Fields {
		rec.Raw[f.Name], rec.Shown[f.Name] = values[2+2*i], values[3+2*i]
		if f.Kind == model.Many {
			rec.Chosen[f.Name] = text(values[2+2*i])
		}
	}
	return rec, nil
}

// rawSQL returns SQL for the stored value of a field; for Many, the ids as "1,2".
func rawSQL(m model.Model, f model.Field) string {
	if f.Kind == model.Many {
		t := f.Through
		return fmt.Sprintf("(SELECT group_concat(x, ',') FROM (SELECT %s AS x FROM %s WHERE %s = %s.id ORDER BY x))",
			t.To, t.Table, t.From, m.Table)
	}
	return f.SQL()
}

// shownSQL returns SQL for the shown value of a field; for One and Many, the titles of
// the referenced rows. The alias r is needed where a table refers to itself.
func shownSQL(m model.Model, f model.Field) string {
	switch f.Kind {
	case model.One:
		return fmt.Sprintf("(SELECT %s FROM %s AS r WHERE r.id = %s.%s)", f.Refers.Title, f.Refers.Table, m.Table, f.Name)
	case model.Many:
		t := f.Through
		return fmt.Sprintf("(SELECT group_concat(y, ', ') FROM (SELECT %s AS y FROM %s AS r WHERE r.id IN (SELECT %s FROM %s WHERE %s = %s.id) ORDER BY y))",
			f.Refers.Title, f.Refers.Table, t.To, t.Table, t.From, m.Table)
	}
	return f.SQL()
}
