package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
)

// mostOptions is the most rows that the field of a reference offers.
const mostOptions = 1000

// formField is one field of a form as the template shows it.
type formField struct {
	model.Field
	Value   string       // in the form
	Options []formOption // of a field that is chosen
	Error   string       // "" if there is none
	Stored  string       // the stored value, if another editor has changed it
	Input   string       // the type attribute
	Limit   int          // the maxlength attribute
	Focus   bool         // whether the cursor is here
}

type formOption struct {
	Value, Label string
	Selected     bool
}

// ID returns the field's id attribute. The ids of its help, error and stored value
// begin with it.
func (f formField) ID() string { return "field-" + f.Name }

// Described returns the ids of the elements that describe the field.
func (f formField) Described() string {
	var ids []string
	for part, there := range map[string]bool{"-error": f.Error != "", "-stored": f.Stored != "", "-help": f.Help != ""} {
		if there {
			ids = append(ids, f.ID()+part)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// Seconds reports whether the field is a Moment with seconds.
func (f formField) Seconds() bool { return f.Kind == model.Moment && len(f.Value) == len(formSeconds) }

// Is reports whether the template calls the field's kind by this name.
func (f formField) Is(kind string) bool {
	return kind == map[model.Kind]string{model.Long: "long", model.Bool: "bool", model.Choice: "select", model.One: "select", model.Many: "many"}[f.Kind]
}

// formFields returns the editable fields of a model with their values and errors.
func (v views) formFields(ctx context.Context, m model.Model, form url.Values, wrong map[string]string, adding bool) ([]formField, error) {
	var fields []formField
	for _, f := range m.Fields {
		if !f.Editable() {
			continue
		}
		drawn := formField{Field: f, Value: form.Get(f.Name), Error: wrong[f.Name], Input: inputType(f.Kind), Limit: f.Max}
		if drawn.Limit == 0 && f.Kind != model.Long {
			drawn.Limit = 200
		}
		if f.Kind == model.Secret {
			drawn.Value, drawn.Required = "", adding
			if !adding {
				drawn.Help = "Leave it empty to keep it as it is. " + f.Help
			}
		}
		var err error
		if drawn.Options, err = v.options(ctx, f, form[f.Name]); err != nil {
			return nil, err
		}
		fields = append(fields, drawn)
	}
	setFocus(fields, len(wrong) > 0)
	return fields, nil
}

// setFocus puts the cursor at the first error, or into the first text field of an empty
// form.
func setFocus(fields []formField, wrong bool) {
	for i, f := range fields {
		if f.Error != "" {
			fields[i].Focus = true
			return
		}
	}
	first := slices.IndexFunc(fields, func(f formField) bool { return f.Kind == model.Text })
	if !wrong && first >= 0 && fields[first].Value == "" {
		fields[first].Focus = true
	}
}

func inputType(kind model.Kind) string {
	switch kind {
	case model.Email:
		return "email"
	case model.Integer:
		return "number"
	case model.Moment:
		return "datetime-local"
	case model.Secret:
		return "password"
	}
	return "text"
}

// options returns what may be chosen for a field. The query prefers those that are
// chosen, so that mostOptions never drops one of them.
func (v views) options(ctx context.Context, f model.Field, chosen []string) ([]formOption, error) {
	var all []formOption
	switch f.Kind {
	case model.Choice:
		for _, option := range f.Choices {
			all = append(all, formOption{option.Value, option.Label, slices.Contains(chosen, option.Value)})
		}
		return all, nil
	case model.One, model.Many:
		ids := []string{"0"}
		for _, value := range chosen {
			if id, err := strconv.ParseInt(value, 10, 64); err == nil {
				ids = append(ids, strconv.FormatInt(id, 10))
			}
		}
		scan := func(row func(...any) error) (formOption, error) {
			var o formOption
			err := row(&o.Value, &o.Label)
			o.Selected = slices.Contains(chosen, o.Value)
			return o, err
		}
		all, err := db.Collect(ctx, v.env.DB, scan, fmt.Sprintf(
			"SELECT * FROM (SELECT id, %s AS label FROM %s ORDER BY id IN (%s) DESC, 2 LIMIT ?) ORDER BY label COLLATE NOCASE",
			f.Refers.Title, f.Refers.Table, strings.Join(ids, ",")), mostOptions)
		if err != nil {
			return nil, fmt.Errorf("list what %s may be: %w", f.Name, err)
		}
		return all, nil
	}
	return nil, nil
}

// blank returns the values of the form to add a row: defaults, and those in the URL.
func (v views) blank(r *http.Request, m model.Model) url.Values {
	form := url.Values{}
	for _, f := range m.Fields {
		value := f.Default
		switch {
		case f.Kind == model.Moment && value == "now":
			value = time.Now().In(v.env.Zone).Truncate(time.Minute).Format(formTime)
		case f.Kind == model.One && value == "me":
			user, _ := auth.Current(r.Context())
			value = strconv.FormatInt(user.ID, 10)
		}
		if asked := r.URL.Query().Get(f.Name); asked != "" {
			value = asked
		}
		form.Set(f.Name, value)
	}
	return form
}

// filled returns the values of the form for a stored row.
func (v views) filled(m model.Model, rec record) url.Values {
	form := url.Values{}
	for _, f := range m.Fields {
		if f.Kind == model.Many {
			form[f.Name] = strings.Split(rec.Chosen[f.Name], ",")
			continue
		}
		form.Set(f.Name, formValue(f, rec.Raw[f.Name], v.env.Zone))
		if f.Kind == model.Bool && text(rec.Raw[f.Name]) == "0" {
			form.Del(f.Name)
		}
	}
	return form
}
