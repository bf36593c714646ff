package admin

import (
	"fmt"
	"strconv"
	"time"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
)

// The formats in which browsers send a date and time. Seconds are only shown if they
// are not zero: they make the field hard to read.
const (
	formTime    = "2006-01-02T15:04"
	formSeconds = "2006-01-02T15:04:05"
)

// formValue returns a stored value as a form has it.
func formValue(f model.Field, stored any, zone *time.Location) string {
	switch {
	case stored == nil, f.Kind == model.Secret:
		return ""
	case f.Kind == model.Moment:
		var t db.Time
		if t.Scan(stored) != nil {
			return fmt.Sprint(stored)
		}
		if t.Second() != 0 {
			return t.In(zone).Format(formSeconds)
		}
		return t.In(zone).Format(formTime)
	}
	return text(stored)
}

// displayValue returns a stored value as a list shows it.
func displayValue(f model.Field, stored any, zone *time.Location) string {
	if stored == nil || stored == "" {
		return "–"
	}
	switch f.Kind {
	case model.Bool:
		if text(stored) == "1" {
			return "Yes"
		}
		return "No"
	case model.Secret:
		return "••••••"
	case model.Choice:
		for _, option := range f.Choices {
			if option.Value == stored {
				return option.Label
			}
		}
	case model.Moment:
		var t db.Time
		if t.Scan(stored) == nil {
			return t.In(zone).Format("2 Jan 2006, 15:04")
		}
	}
	return text(stored)
}

func text(stored any) string {
	switch stored := stored.(type) {
	case string:
		return stored
	case []byte:
		return string(stored)
	case int64:
		return strconv.FormatInt(stored, 10)
	case nil:
		return ""
	}
	return fmt.Sprint(stored)
}
