package admin

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

// input is a form that was read: the values to store, and the errors.
type input struct {
	Stored map[string]any     // by column; without a Secret that was left empty
	Chosen map[string][]int64 // by Many field
	Errors map[string]string  // by field; each is a sentence
}

// readInput reads and checks every editable field. It does not check that the rows of
// references exist: the database does.
func readInput(m model.Model, form url.Values, zone *time.Location, adding bool) input {
	in := input{Stored: map[string]any{}, Chosen: map[string][]int64{}, Errors: map[string]string{}}
	for _, f := range m.Fields {
		if !f.Editable() {
			continue
		}
		var err error
		switch {
		case f.Kind == model.Many:
			in.Chosen[f.Name], err = parseMany(f, form[f.Name])
		case f.Kind == model.Secret && form.Get(f.Name) == "":
			if adding {
				err = errNeeded
			}
		default:
			in.Stored[f.Name], err = parse(f, form.Get(f.Name), zone)
		}
		if err != nil {
			in.Errors[f.Name] = page.Sentence(err)
		}
	}
	return in
}

var (
	errNeeded = errors.New("this is needed")
	slug      = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

func parse(f model.Field, value string, zone *time.Location) (any, error) {
	if f.Kind == model.Bool {
		if value == "" {
			return int64(0), nil
		}
		return int64(1), nil
	}
	value, err := cleaned(f, value)
	if err != nil {
		return nil, err
	}
	if value == "" {
		return empty(f)
	}
	stored, err := parseKind(f, value, zone)
	if err == nil && f.Encode != nil {
		return f.Encode(value)
	}
	return stored, err
}

// cleaned trims a value and refuses what no field may contain.
func cleaned(f model.Field, value string) (string, error) {
	limit := 200
	switch f.Kind {
	case model.Secret:
		return value, nil // every character of a password counts
	case model.Long:
		limit = 100_000
		value = strings.ReplaceAll(value, "\r\n", "\n")
		value = strings.TrimRightFunc(value, unicode.IsSpace)
	default:
		value = strings.TrimSpace(value)
	}
	if f.Max > 0 {
		limit = f.Max
	}
	control := func(c rune) bool { return unicode.IsControl(c) && (f.Kind != model.Long || (c != '\n' && c != '\t')) }
	switch {
	case !utf8.ValidString(value) || strings.ContainsFunc(value, control):
		return "", errors.New("this has characters that cannot be stored")
	case utf8.RuneCountInString(value) > limit:
		return "", fmt.Errorf("this has %d characters, and %d is the most", utf8.RuneCountInString(value), limit)
	}
	return value, nil
}

// empty returns what a field stores for an empty value: "" for text, and otherwise NULL.
func empty(f model.Field) (any, error) {
	switch {
	case f.Required:
		return nil, errNeeded
	case f.Kind == model.Moment, f.Kind == model.Integer, f.Kind == model.One:
		return nil, nil
	}
	return "", nil
}

func parseKind(f model.Field, value string, zone *time.Location) (any, error) {
	switch f.Kind {
	case model.Slug:
		if !slug.MatchString(value) {
			return nil, errors.New("use small letters, digits, and single hyphens between them")
		}
	case model.Email:
		if address, err := mail.ParseAddress(value); err != nil || address.Address != value {
			return nil, errors.New("this is not an email address")
		}
	case model.Choice:
		if !slices.ContainsFunc(f.Choices, func(o model.Option) bool { return o.Value == value }) {
			return nil, errors.New("choose one of these")
		}
	case model.Integer, model.One:
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, errors.New("this is not a whole number")
		}
		return number, nil
	case model.Moment:
		return parseMoment(value, zone)
	}
	return value, nil
}

func parseMoment(value string, zone *time.Location) (any, error) {
	for _, layout := range []string{formTime, formSeconds, "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if moment, err := time.ParseInLocation(layout, value, zone); err == nil && moment.Year() >= 1000 {
			return db.Time{Time: moment}.Value()
		}
	}
	return nil, errors.New("write date and time like 2026-01-31 18:30")
}

func parseMany(f model.Field, values []string) ([]int64, error) {
	ids := []int64{}
	for _, value := range values {
		id, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, errors.New("choose among these")
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if f.Required && len(ids) == 0 {
		return ids, errors.New("choose at least one")
	}
	return slices.Compact(ids), nil
}
