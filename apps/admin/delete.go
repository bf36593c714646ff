package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/messages"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

// related are the rows of another model that refer to one row.
type related struct {
	Label string
	Count int64
	Path  string // URL of the list of them
	Add   string // URL of the form to add one; "" if none can be added
	Fate  string // what happens to them when the row is deleted
}

// deleteData is the data of delete.html.
type deleteData struct {
	target
	ID      int64
	Title   string
	Version int64
	Facts   []fact
	Related []related
	Error   string
}

func (v views) deleteForm(w http.ResponseWriter, r *http.Request, t target) error {
	return v.showDelete(w, r, http.StatusOK, t, "")
}

func (v views) delete(w http.ResponseWriter, r *http.Request, t target) error {
	id, err := objectID(r)
	if err != nil || t.Model.ReadOnly || t.Model.NoDelete {
		return page.ErrNotFound
	}
	version, err := strconv.ParseInt(r.PostFormValue("_version"), 10, 64)
	if err != nil {
		return badForm(err)
	}
	err = remove(r.Context(), v.env.DB, t, id, version, v.editor(r))
	var refused refusal
	switch {
	case errors.Is(err, errConflict):
		return v.showDelete(w, r, http.StatusConflict, t, "Somebody changed it meanwhile. This is how it is now.")
	case errors.As(err, &refused):
		return v.showDelete(w, r, http.StatusUnprocessableEntity, t, refused.Text)
	case err != nil:
		return err
	}
	messages.Success(r.Context(), "The %s is deleted.", t.Model.Label)
	http.Redirect(w, r, t.Base, http.StatusSeeOther)
	return nil
}

func (v views) showDelete(w http.ResponseWriter, r *http.Request, status int, t target, problem string) error {
	id, err := objectID(r)
	if err != nil || t.Model.ReadOnly || t.Model.NoDelete {
		return page.ErrNotFound
	}
	rec, err := readRecord(r.Context(), v.env.DB, t.Model, id)
	if err != nil {
		return err
	}
	data := deleteData{target: t, ID: id, Title: rec.Title, Version: rec.Version, Error: problem}
	for _, f := range t.Model.Fields {
		if f.Kind != model.Secret {
			data.Facts = append(data.Facts, fact{f.Label, displayValue(f, rec.Shown[f.Name], v.env.Zone)})
		}
	}
	if data.Related, err = v.related(r, t, id); err != nil {
		return err
	}
	return v.view.Render(w, r, status, "delete.html", data)
}

// related counts the rows that refer to one row, for every model that the user may see.
func (v views) related(r *http.Request, to target, id int64) ([]related, error) {
	var all []related
	for _, t := range v.targets(r) {
		for _, f := range t.Model.Fields {
			if f.Kind != model.One || f.Refers.Table != to.Model.Table {
				continue
			}
			query := "?" + f.Name + "=" + strconv.FormatInt(id, 10)
			found := related{Label: t.Model.Plural, Path: t.Base + query}
			if !t.Model.ReadOnly {
				found.Add = t.Base + "add" + query
			}
			err := v.env.DB.QueryRowContext(r.Context(), fmt.Sprintf("SELECT count(*) FROM %s WHERE %s = ?", t.Model.Table, f.Name), id).Scan(&found.Count)
			if err != nil {
				return nil, fmt.Errorf("count %s: %w", t.Model.Plural, err)
			}
			if found.Fate, err = onDelete(r.Context(), v.env.DB, t.Model.Table, f.Name); err != nil {
				return nil, err
			}
			all = append(all, found)
		}
	}
	return all, nil
}

// onDelete returns what the database does with rows of a table when the row that they
// refer to is deleted.
func onDelete(ctx context.Context, d *db.DB, table, column string) (string, error) {
	actions, err := db.Collect(ctx, d, func(row func(...any) error) (string, error) {
		var action string
		return action, row(&action)
	}, `SELECT on_delete FROM pragma_foreign_key_list(?) WHERE "from" = ?`, table, column)
	if err != nil {
		return "", fmt.Errorf("read references of %s: %w", table, err)
	}
	for _, action := range actions {
		switch action {
		case "CASCADE":
			return "deleted with it", nil
		case "SET NULL":
			return "kept without it", nil
		}
	}
	if len(actions) == 0 {
		return "kept", nil
	}
	return "in the way: delete them first", nil
}
