package admin

import (
	"net/http"

	"github.com/multisite/multisite/apps/model"
)

// showConflict answers an editor whose row was changed in the meantime. The form keeps
// their input and shows the stored value beside each field that differs. It carries the
// new version of the row, so to save it again is to overwrite that version knowingly.
func (v views) showConflict(w http.ResponseWriter, r *http.Request, data formData, in input) error {
	ctx := r.Context()
	rec, err := readRecord(ctx, v.env.DB, data.Model, data.ID)
	if err != nil {
		return err
	}
	last, err := readLog(ctx, v.env.DB, 1, "app = ? AND model = ? AND object_id = ?", data.App, data.Model.Name, data.ID)
	if err != nil {
		return err
	}
	data.Version = rec.Version
	data.Conflict = &entry{}
	if len(last) > 0 {
		data.Conflict = &last[0]
	}
	if data.Fields, err = v.formFields(ctx, data.Model, r.PostForm, nil, false); err != nil {
		return err
	}
	stored := map[string]string{}
	for _, f := range changedFields(data.Model, rec, in) {
		if f.Kind != model.Secret {
			stored[f.Name] = displayValue(f, rec.Shown[f.Name], v.env.Zone)
		}
	}
	for i, f := range data.Fields {
		data.Fields[i].Stored = stored[f.Name]
	}
	return v.render(w, r, http.StatusConflict, data)
}
