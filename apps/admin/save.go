package admin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

// errConflict is returned when a row is no longer the one that the editor saw.
var errConflict = errors.New("changed meanwhile")

// refusal is an error that the form shows to the editor. Field is "" if it is about the
// row as a whole.
type refusal struct{ Field, Text string }

func (r refusal) Error() string { return r.Text }

// editor is the user who makes a change, and the site where it is made.
type editor struct {
	UserID int64
	Name   string
	SiteID int64
	Zone   *time.Location // of times in the log
}

// insert adds a row and returns its ID.
func insert(ctx context.Context, d *db.DB, t target, in input, by editor) (id int64, err error) {
	m := t.Model
	err = d.Write(ctx, func(tx *sql.Tx) error {
		columns := slices.Sorted(maps.Keys(in.Stored))
		args := make([]any, len(columns))
		for i, column := range columns {
			args[i] = in.Stored[column]
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
		result, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", m.Table, strings.Join(columns, ", "), marks), args...)
		if err != nil {
			return explain(m, err)
		}
		if id, err = result.LastInsertId(); err != nil {
			return err
		}
		if err := setRelations(ctx, tx, m, id, in); err != nil {
			return err
		}
		return checkAndLog(ctx, tx, t, id, entry{Action: "added"}, by)
	})
	return id, err
}

// update changes a row and returns the fields that changed. It returns errConflict if
// the row no longer has this version.
func update(ctx context.Context, d *db.DB, t target, id, version int64, in input, by editor) (changed []model.Field, err error) {
	m := t.Model
	err = d.Write(ctx, func(tx *sql.Tx) error {
		before, err := readRecord(ctx, tx, m, id)
		if err != nil {
			return err
		}
		if before.Version != version {
			return errConflict
		}
		changed = changedFields(m, before, in)
		if len(changed) == 0 {
			return nil
		}
		sets := []string{"version = version + 1"}
		var args []any
		for _, f := range changed {
			if f.Kind != model.Many {
				sets = append(sets, f.Name+" = ?")
				args = append(args, in.Stored[f.Name])
			}
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET %s WHERE id = ?", m.Table, strings.Join(sets, ", ")), append(args, id)...)
		if err != nil {
			return explain(m, err)
		}
		if err := setRelations(ctx, tx, m, id, in); err != nil {
			return err
		}
		after, err := readRecord(ctx, tx, m, id)
		if err != nil {
			return err
		}
		return checkAndLog(ctx, tx, t, id, entry{Action: "changed", Changes: describe(changed, before, after, by.Zone)}, by)
	})
	return changed, err
}

// remove deletes a row. It returns errConflict if the row no longer has this version.
func remove(ctx context.Context, d *db.DB, t target, id, version int64, by editor) error {
	return d.Write(ctx, func(tx *sql.Tx) error {
		before, err := readRecord(ctx, tx, t.Model, id)
		if err != nil {
			return err
		}
		if before.Version != version {
			return errConflict
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+t.Model.Table+" WHERE id = ?", id); err != nil {
			return explain(t.Model, err)
		}
		return checkAndLog(ctx, tx, t, id, entry{Action: "deleted", Object: before.Title}, by)
	})
}

// setRelations stores the chosen Many relations of a row in place of the old ones.
func setRelations(ctx context.Context, tx *sql.Tx, m model.Model, id int64, in input) error {
	for name, ids := range in.Chosen {
		f, _ := m.Field(name)
		t := f.Through
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s = ?", t.Table, t.From), id); err != nil {
			return fmt.Errorf("clear %s: %w", name, err)
		}
		for _, chosen := range ids {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s (%s, %s) VALUES (?, ?)", t.Table, t.From, t.To), id, chosen)
			if db.IsForeignKey(err) {
				return refusal{name, "One of these is no longer there."}
			}
			if err != nil {
				return fmt.Errorf("choose %s: %w", name, err)
			}
		}
	}
	return nil
}

// checkAndLog runs the model's own check and writes the log entry.
func checkAndLog(ctx context.Context, tx *sql.Tx, t target, id int64, e entry, by editor) error {
	if t.Model.Check != nil {
		if err := t.Model.Check(ctx, tx); err != nil {
			return refusal{Text: page.Sentence(err)}
		}
	}
	if e.Action != "deleted" {
		now, err := readRecord(ctx, tx, t.Model, id)
		if err != nil {
			return err
		}
		e.Object = now.Title
	}
	return e.write(ctx, tx, t, id, by)
}

// changedFields returns the fields whose stored value the input would change.
func changedFields(m model.Model, before record, in input) []model.Field {
	var changed []model.Field
	for _, f := range m.Fields {
		if f.Kind == model.Many {
			if chosen, given := in.Chosen[f.Name]; given && join(chosen) != before.Chosen[f.Name] {
				changed = append(changed, f)
			}
			continue
		}
		stored, given := in.Stored[f.Name]
		if given && (text(stored) != text(before.Raw[f.Name]) || (stored == nil) != (before.Raw[f.Name] == nil)) {
			changed = append(changed, f)
		}
	}
	return changed
}

func join(ids []int64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(texts, ",")
}

// explain returns a refusal for an error that is a violated constraint.
func explain(m model.Model, err error) error {
	for _, column := range db.Unique(err) {
		if name, ours := strings.CutPrefix(column, m.Table+"."); ours {
			if f, ok := m.Field(name); ok && f.Editable() {
				return refusal{name, "Another " + m.Label + " has this already."}
			}
		}
	}
	if db.IsForeignKey(err) {
		return refusal{Text: "Something it refers to, or that refers to it, stands in the way."}
	}
	return fmt.Errorf("save %s: %w", m.Label, err)
}
