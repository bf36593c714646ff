package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
)

// key is one key of sites.toml as the tags of its field describe it. The tags are:
//
//	toml      the name of the key
//	type      how its value is written; needed only where the Go type does not say it
//	default   its value where sites.toml has none, without the quotes of a string; a
//	          text in parentheses is for the documentation, and other code sets the value
//	min       the least whole number; 0 if there is no such tag
//	nonzero   "yes" for a duration or size that must not be 0
//	live      whether a change applies without new workers, or, for a key of the whole
//	          file, without a new start: "yes", "no", or the kinds of site where it does
//	affects   what the value concerns: of a site, its part of the front "door", its "pool",
//	          what each "worker" is launched with, what its "code" can see while it is
//	          loaded, its services and cron entries ("task"), and what makes it "reload";
//	          of the whole file, the door, the "dashboard", the "metrics", the included "sites", the
//	          "state" directory, the "logs" and the "control" socket
//	defaults  "no" for a key of sites that cannot stand in [defaults]
//	kind      "wsgi" for a key that only Python sites have
//	as        what messages and the handover call the field, if not by its key; "-" for a
//	          field that says only where another field's value comes from
//
// The fields of an untagged struct inherit live, affects and kind from it. A key whose
// type or meaning needs more than that has a reader of its own, in siteReaders or
// topReaders.
type key struct {
	name     string
	index    []int        // of the field, for reflect.Value.FieldByIndex
	goType   reflect.Type // of the field
	typeName string       // the tag type, or the name of goType in plainTypes
	initial  string       // the tag default
	min      int          // the tag min, as the other tags below
	nonzero  bool
	live     string
	affects  []string
	tag      reflect.StructTag // all tags, those of an outer struct last
}

// The keys above the first table, and those of a site, in the order of the fields.
var (
	topKeys  = keysOf(reflect.TypeFor[Config]())
	siteKeys = keysOf(reflect.TypeFor[Site]())
	topNames = names(topKeys, func(key) bool { return true })
)

// keysOf returns the keys that the fields of a struct are tagged with.
func keysOf(t reflect.Type) []key {
	var keys []key
	for i := range t.NumField() {
		f := t.Field(i)
		if name, ok := f.Tag.Lookup("toml"); ok {
			keys = append(keys, newKey(name, i, f))
			continue
		}
		if f.Type.Kind() != reflect.Struct {
			continue
		}
		for _, inner := range keysOf(f.Type) {
			inner.index = append([]int{i}, inner.index...)
			inner.tag += " " + f.Tag // Get takes the first, which is the inner field's
			inner.readTag()
			keys = append(keys, inner)
		}
	}
	return keys
}

func newKey(name string, i int, f reflect.StructField) key {
	k := key{name: name, index: []int{i}, goType: f.Type, tag: f.Tag}
	k.readTag()
	return k
}

// readTag sets the fields that come from the tags.
func (k *key) readTag() {
	k.typeName = k.tag.Get("type")
	if k.typeName == "" {
		k.typeName = plainTypes[k.goType]
	}
	k.initial = k.tag.Get("default")
	k.min, _ = strconv.Atoi(k.tag.Get("min")) // none is 0
	k.nonzero = k.tag.Get("nonzero") == "yes"
	k.live = k.tag.Get("live")
	k.affects = strings.Fields(k.tag.Get("affects"))
}

// plainTypes are the types that key.read can read, as the documentation calls them.
var plainTypes = map[reflect.Type]string{
	reflect.TypeFor[int]():           "whole number",
	reflect.TypeFor[int64]():         "size",
	reflect.TypeFor[time.Duration](): "duration",
	reflect.TypeFor[bool]():          "true or false",
	reflect.TypeFor[string]():        "string",
	reflect.TypeFor[[]string]():      "string, or list",
}

// read sets the key's field in v, a Config or Site, if t has the key, and reports
// whether it did. It is for keys of plain types.
func (k key) read(t *tomlfile.Table, v reflect.Value) bool {
	switch to := v.FieldByIndex(k.index).Addr().Interface().(type) {
	case *int:
		return t.Int(k.name, to, k.min)
	case *int64:
		ok := t.Size(k.name, to)
		if ok && k.nonzero && *to == 0 {
			t.Problem(k.name, "must be more than 0", "")
		}
		return ok
	case *time.Duration:
		ok := t.Duration(k.name, to)
		if ok && k.nonzero && *to == 0 {
			t.Problem(k.name, "must be longer than 0s", "")
		}
		return ok
	case *bool:
		return t.Bool(k.name, to)
	case *string:
		return t.String(k.name, to)
	case *[]string:
		return t.Strings(k.name, to)
	}
	panic(fmt.Sprintf("config: key %s has type %v and no reader", k.name, k.goType))
}

// inDefaults reports whether the key may stand in [defaults].
func (k key) inDefaults() bool { return k.tag.Get("defaults") != "no" }

// fitsKind reports whether a site of this kind may have the key.
func (k key) fitsKind(kind Kind) bool {
	only := k.tag.Get("kind")
	return only == "" || only == string(kind)
}

// names returns the names of the keys that want accepts.
func names(keys []key, want func(key) bool) []string {
	var names []string
	for _, k := range keys {
		if want(k) {
			names = append(names, k.name)
		}
	}
	return names
}

// defaultsTable returns a table with the defaults of keys.
func defaultsTable(keys []key) *tomlfile.Table {
	file, err := tomlfile.Parse("defaults", []byte(defaultsText(keys)))
	if err != nil {
		panic("config: the default of a key is not TOML: " + err.Error())
	}
	return file.Root()
}

// defaultsText returns the defaults of keys as a TOML file.
func defaultsText(keys []key) string {
	var text strings.Builder
	for _, k := range keys {
		if !strings.HasPrefix(k.initial, "(") && k.inDefaults() {
			fmt.Fprintf(&text, "%s = %s\n", k.name, k.initialTOML())
		}
	}
	return text.String()
}

// initialTOML returns the default as it would be in sites.toml.
func (k key) initialTOML() string {
	quoted := []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[time.Duration](), reflect.TypeFor[int64](), reflect.TypeFor[[]string]()}
	if (slices.Contains(quoted, k.goType) || k.goType.Kind() == reflect.String) && !strings.HasPrefix(k.initial, "[") {
		return strconv.Quote(k.initial)
	}
	return k.initial
}
