package config

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// siteField is a field of Site that counts when two sites are compared.
type siteField struct {
	index int    // in Site
	name  string // in messages and in the handover
	key   key    // from its tags; without a name if no key sets this field alone
}

var siteFields = fieldsOf(reflect.TypeFor[Site]())

// fieldsOf returns the fields of a struct, except those with as:"-".
func fieldsOf(t reflect.Type) []siteField {
	var fields []siteField
	for i := range t.NumField() {
		f := t.Field(i)
		k := newKey(f.Tag.Get("toml"), i, f)
		if name := cmp.Or(f.Tag.Get("as"), k.name); name != "-" {
			fields = append(fields, siteField{i, name, k})
		}
	}
	return fields
}

// isLive reports whether a change of the field applies to a running site of this kind
// without new workers. A Go worker does not know its number of threads, but the built-in
// apps know the names of their site.
func (f siteField) isLive(kind Kind) bool {
	return f.key.live == "yes" || slices.Contains(strings.Fields(f.key.live), string(kind))
}

// equal reports whether the field has the same value in a and b.
func (f siteField) equal(a, b *Site) bool {
	return reflect.DeepEqual(f.value(a).Interface(), f.value(b).Interface())
}

func (f siteField) value(s *Site) reflect.Value { return reflect.ValueOf(s).Elem().Field(f.index) }

// Same reports whether s and other, from two readings of sites.toml, are the same
// site, whatever line they stand on.
func (s *Site) Same(other *Site) bool {
	return !slices.ContainsFunc(siteFields, func(f siteField) bool { return !f.equal(s, other) })
}

// LiveChanges returns the keys that differ between s and old, what sites.toml said before,
// and that apply without new workers.
func (s *Site) LiveChanges(old *Site) []string {
	var changed []string
	for _, f := range siteFields {
		if f.isLive(s.Kind) && !f.equal(s, old) {
			changed = append(changed, f.name)
		}
	}
	return changed
}

// LaunchChange returns a key that differs between s and launched, which the workers were
// launched with, and that applies only to new workers. It returns "" if there is none.
func (s *Site) LaunchChange(launched *Site) string {
	changed := ""
	for _, f := range siteFields {
		if !f.isLive(s.Kind) && !f.equal(s, launched) {
			changed = f.name
		}
	}
	return changed
}

// LaunchValues returns the values that apply only to new workers, by key and in JSON. They
// go into the handover to the next version of the program, so their names must not change.
func (s *Site) LaunchValues() map[string]json.RawMessage {
	values := map[string]json.RawMessage{}
	for _, f := range siteFields {
		if !f.isLive(s.Kind) {
			values[f.name], _ = json.Marshal(f.value(s).Interface()) // plain values: there is no error
		}
	}
	return values
}

// CodeView returns a site with only those values of s that its code can see while it is
// loaded. The code of two sites with the same view loads in the same way.
func (s *Site) CodeView() *Site {
	view := &Site{}
	for _, f := range siteFields {
		if slices.Contains(f.key.affects, "code") {
			f.value(view).Set(f.value(s))
		}
	}
	return view
}

// StartChanges returns the keys of the whole file that differ between c and old and that
// need a new start of the supervisor.
func (c *Config) StartChanges(old *Config) []string {
	now, was := reflect.ValueOf(c).Elem(), reflect.ValueOf(old).Elem()
	return names(topKeys, func(k key) bool {
		return k.live == "no" && !reflect.DeepEqual(now.FieldByIndex(k.index).Interface(), was.FieldByIndex(k.index).Interface())
	})
}
