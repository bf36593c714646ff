package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/messages"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

// formData is the data of form.html, the page to add or change a row.
type formData struct {
	target
	ID       int64 // 0 for a row that is to be added
	Version  int64 // the version that the editor saw
	Title    string
	Fields   []formField
	Facts    []fact    // values that cannot be edited
	Related  []related // rows of other models that refer to the row
	Error    string    // about the row as a whole
	Wrong    int64     // number of fields with an error
	Conflict *entry    // the change that another editor made in the meantime; nil if there is none
}

// fact is a value that the page only shows.
type fact struct{ Label, Value string }

func (v views) addForm(w http.ResponseWriter, r *http.Request, t target) error {
	if t.Model.ReadOnly {
		return page.ErrNotFound
	}
	return v.showForm(w, r, http.StatusOK, formData{target: t}, v.blank(r, t.Model), nil)
}

func (v views) add(w http.ResponseWriter, r *http.Request, t target) error {
	if t.Model.ReadOnly {
		return page.ErrNotFound
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	in := readInput(t.Model, r.PostForm, v.env.Zone, true)
	if len(in.Errors) > 0 {
		return v.showForm(w, r, http.StatusUnprocessableEntity, formData{target: t}, r.PostForm, in.Errors)
	}
	id, err := insert(r.Context(), v.env.DB, t, in, v.editor(r))
	var refused refusal
	switch {
	case errors.As(err, &refused):
		return v.showRefused(w, r, formData{target: t}, refused)
	case err != nil:
		return err
	}
	messages.Success(r.Context(), "The %s is added.", t.Model.Label)
	v.redirectAfterSave(w, r, t, id)
	return nil
}

func (v views) changeForm(w http.ResponseWriter, r *http.Request, t target) error {
	id, err := objectID(r)
	if err != nil {
		return err
	}
	rec, err := readRecord(r.Context(), v.env.DB, t.Model, id)
	if err != nil {
		return err
	}
	data := formData{target: t, ID: id, Version: rec.Version, Title: rec.Title}
	return v.showForm(w, r, http.StatusOK, data, v.filled(t.Model, rec), nil)
}

func (v views) change(w http.ResponseWriter, r *http.Request, t target) error {
	id, err := objectID(r)
	if err != nil || t.Model.ReadOnly {
		return page.ErrNotFound
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	version, err := strconv.ParseInt(r.PostForm.Get("_version"), 10, 64)
	if err != nil {
		return badForm(err)
	}
	data := formData{target: t, ID: id, Version: version, Title: r.PostForm.Get("_title")}
	in := readInput(t.Model, r.PostForm, v.env.Zone, false)
	if len(in.Errors) > 0 {
		return v.showForm(w, r, http.StatusUnprocessableEntity, data, r.PostForm, in.Errors)
	}
	changed, err := update(r.Context(), v.env.DB, t, id, version, in, v.editor(r))
	var refused refusal
	switch {
	case errors.Is(err, errConflict):
		return v.showConflict(w, r, data, in)
	case errors.As(err, &refused):
		return v.showRefused(w, r, data, refused)
	case err != nil:
		return err
	}
	if err := v.keepLogin(r, t, id); err != nil {
		return err
	}
	if len(changed) == 0 {
		messages.Success(r.Context(), "There was nothing to change.")
	} else {
		messages.Success(r.Context(), "The %s is saved.", t.Model.Label)
	}
	v.redirectAfterSave(w, r, t, id)
	return nil
}

// keepLogin logs the editor in again after a change of their own password, which ends
// all of their sessions.
func (v views) keepLogin(r *http.Request, t target, id int64) error {
	user, _ := auth.Current(r.Context())
	if t.Model.Table != auth.Ref().Table || user.ID != id || r.PostForm.Get("password") == "" {
		return nil
	}
	fresh, err := auth.ByID(r.Context(), v.env.DB, id)
	if err != nil {
		return err
	}
	return auth.LogIn(r.Context(), v.env, fresh)
}

// redirectAfterSave redirects to the page that belongs to the pressed button.
func (v views) redirectAfterSave(w http.ResponseWriter, r *http.Request, t target, id int64) {
	next := t.Base
	switch r.PostForm.Get("_then") {
	case "stay":
		next = t.Path(id, "")
	case "add":
		again := url.Values{}
		for _, f := range t.Model.Fields {
			if f.Kind == model.One && r.PostForm.Get(f.Name) != "" {
				again.Set(f.Name, r.PostForm.Get(f.Name))
			}
		}
		next = t.Base + "add?" + again.Encode()
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (v views) showRefused(w http.ResponseWriter, r *http.Request, data formData, refused refusal) error {
	wrong := map[string]string{}
	if refused.Field == "" {
		data.Error = refused.Text
	} else {
		wrong[refused.Field] = refused.Text
	}
	return v.showForm(w, r, http.StatusUnprocessableEntity, data, r.PostForm, wrong)
}

// showForm answers with the form, its values and its errors by field.
func (v views) showForm(w http.ResponseWriter, r *http.Request, status int, data formData, form url.Values, wrong map[string]string) error {
	var err error
	if data.Fields, err = v.formFields(r.Context(), data.Model, form, wrong, data.ID == 0); err != nil {
		return err
	}
	data.Wrong = int64(len(wrong))
	return v.render(w, r, status, data)
}

// render adds the facts and related rows of an existing row, and answers with the form.
func (v views) render(w http.ResponseWriter, r *http.Request, status int, data formData) error {
	if data.ID != 0 {
		rec, err := readRecord(r.Context(), v.env.DB, data.Model, data.ID)
		if err != nil {
			return err
		}
		data.Title = rec.Title
		for _, f := range data.Model.Fields {
			if data.Model.ReadOnly || !f.Editable() {
				data.Facts = append(data.Facts, fact{f.Label, displayValue(f, rec.Shown[f.Name], v.env.Zone)})
			}
		}
		if data.Related, err = v.related(r, data.target, data.ID); err != nil {
			return err
		}
	}
	return v.view.Render(w, r, status, "form.html", data)
}

func badForm(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return page.Problem{Status: http.StatusBadRequest, Text: "This form could not be read."}
}
