package admin

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/sites"
)

// entry is one line of the log.
type entry struct {
	At      db.Time
	Name    string // of the user
	Site    string // where the change was made
	Action  string // "added", "changed" or "deleted"
	App     string
	Model   string
	ID      int64  // of the row
	Object  string // title of the row
	Changes string // one line for each field that changed
}

// logModel shows the whole log to superusers. Other staff see the history of the rows
// that they may edit.
var logModel = model.Model{
	Name: "log", Label: "log entry", Plural: "log entries", Table: "admin_log", Title: "action || ' ' || model || ' ' || object",
	ReadOnly: true, Superuser: true,
	Fields: []model.Field{
		{Name: "at", Label: "When", Kind: model.Moment},
		{Name: "username", Label: "Who"},
		{Name: "action", Label: "Did"},
		{Name: "model", Label: "To a"},
		{Name: "object", Label: "Named"},
		{Name: "site_id", Label: "On site", Kind: model.One, Refers: sites.Ref()},
		{Name: "changes", Label: "Changes", Kind: model.Long},
	},
	List: []string{"at", "username", "action", "model", "object", "site_id"}, Search: []string{"username", "action", "model", "object", "changes"},
	Order: "id DESC",
}

func (e entry) write(ctx context.Context, tx *sql.Tx, t target, id int64, by editor) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO admin_log (at, user_id, username, site_id, app, model, object_id, object, action, changes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, db.Now(), by.UserID, by.Name, by.SiteID, t.App, t.Model.Name, id, e.Object, e.Action, e.Changes)
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// readLog returns the newest entries that match the SQL condition where.
func readLog(ctx context.Context, from db.Queryer, limit int, where string, args ...any) ([]entry, error) {
	scan := func(row func(...any) error) (entry, error) {
		var e entry
		err := row(&e.At, &e.Name, &e.Site, &e.Action, &e.App, &e.Model, &e.ID, &e.Object, &e.Changes)
		return e, err
	}
	entries, err := db.Collect(ctx, from, scan, `SELECT at, username,
			coalesce((SELECT name FROM sites_site WHERE id = site_id), 'site ' || site_id), action, app, model, object_id, object, changes
		FROM admin_log WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return entries, nil
}

// describe returns the changes in words. It does not show the value of a Secret.
func describe(changed []model.Field, before, after record, zone *time.Location) string {
	lines := make([]string, len(changed))
	for i, f := range changed {
		if f.Kind == model.Secret {
			lines[i] = f.Label + " changed"
			continue
		}
		lines[i] = fmt.Sprintf("%s: %s → %s", f.Label, short(displayValue(f, before.Shown[f.Name], zone)), short(displayValue(f, after.Shown[f.Name], zone)))
	}
	return strings.Join(lines, "\n")
}

func short(text string) string {
	const longest = 300
	if all := []rune(text); len(all) > longest {
		return string(all[:longest]) + "…"
	}
	return text
}

func (v views) history(w http.ResponseWriter, r *http.Request, t target) error {
	id, err := objectID(r)
	if err != nil {
		return err
	}
	entries, err := readLog(r.Context(), v.env.DB, 200, "app = ? AND model = ? AND object_id = ?", t.App, t.Model.Name, id)
	if err != nil {
		return err
	}
	data := struct {
		target
		ID      int64
		Title   string
		Entries []entry
	}{t, id, "", entries}
	switch rec, err := readRecord(r.Context(), v.env.DB, t.Model, id); {
	case err == nil:
		data.Title = rec.Title
	case len(entries) > 0: // it was deleted, but its history remains
		data.Title = entries[0].Object
	default:
		return err
	}
	return v.view.Render(w, r, http.StatusOK, "history.html", data)
}

func (v views) editor(r *http.Request) editor {
	user, _ := auth.Current(r.Context())
	return editor{UserID: user.ID, Name: user.Name, SiteID: v.env.SiteID, Zone: v.env.Zone}
}
