package tomlfile

import (
	"fmt"
	"math"
	"path/filepath"
	"time"
)

// Item is one string of a list and its position.
type Item struct {
	Value    string
	Position Position
}

// String sets *to if the table has the key name, and reports whether it did. The other
// methods here do the same. They report a value of the wrong type and do not set it.
func (t *Table) String(name string, to *string) bool {
	return set(t, name, "a string", to)
}

// Bool reads true or false.
func (t *Table) Bool(name string, to *bool) bool {
	return set(t, name, "true or false", to)
}

// Int reads a whole number that is not less than least.
func (t *Table) Int(name string, to *int, least int) bool {
	var n int64
	if !set(t, name, "a whole number", &n) {
		return false
	}
	if n < int64(least) {
		t.Problem(name, fmt.Sprintf("must be at least %d, not %d", least, n), "")
		return false
	}
	if n > math.MaxInt32 {
		t.Problem(name, fmt.Sprintf("must be at most %d, not %d", math.MaxInt32, n), "")
		return false
	}
	*to = int(n)
	return true
}

// Duration reads a string such as "30s". A negative duration is a problem.
func (t *Table) Duration(name string, to *time.Duration) bool {
	return parse(t, name, `a duration such as "30s"`, to, parseDuration)
}

// Size reads a string such as "64MB" and sets the number of bytes: KB, MB and GB are powers
// of 1000, KiB, MiB and GiB powers of 1024.
func (t *Table) Size(name string, to *int64) bool {
	return parse(t, name, `a size such as "64MB"`, to, parseSize)
}

// Path reads a path and makes it absolute. A relative path starts at the directory of the
// file. Path does not check that the path exists.
func (t *Table) Path(name string, to *string) bool {
	var path string
	if !t.String(name, &path) {
		return false
	}
	if path == "" {
		t.Problem(name, "must not be empty", "")
		return false
	}
	*to = t.Abs(path)
	return true
}

// Abs makes a path from the table absolute, as Path does.
func (t *Table) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(t.file.dir, path)
}

// Strings reads one string or a list of strings.
func (t *Table) Strings(name string, to *[]string) bool {
	items, ok := t.Items(name)
	if !ok {
		return false
	}
	*to = make([]string, len(items))
	for i, item := range items {
		(*to)[i] = item.Value
	}
	return true
}

// Items is Strings for a reader that reports mistakes in single items.
func (t *Table) Items(name string) ([]Item, bool) {
	value, found := t.value(name)
	if !found {
		return nil, false
	}
	if one, ok := value.(string); ok {
		return []Item{{one, t.Position(name)}}, true
	}
	list, ok := value.([]any)
	if !ok {
		t.WrongType(name, "a string or a list of strings")
		return nil, false
	}
	items := make([]Item, 0, len(list))
	for i, element := range list {
		at := t.Position(name, index(i))
		s, ok := element.(string)
		if !ok {
			t.ProblemAt(at, name, "must be a list of strings; one is "+typeName(element), "")
			return nil, false
		}
		items = append(items, Item{s, at})
	}
	return items, true
}

// set reads a value of a type that TOML has.
func set[T any](t *Table, name, want string, to *T) bool {
	value, found := t.value(name)
	if !found {
		return false
	}
	v, ok := value.(T)
	if !ok {
		t.WrongType(name, want)
		return false
	}
	*to = v
	return true
}

// parse reads a value that TOML has as a string.
func parse[T any](t *Table, name, want string, to *T, parse func(string) (T, string, string)) bool {
	var s string
	if !set(t, name, want, &s) {
		return false
	}
	v, message, hint := parse(s)
	if message != "" {
		t.Problem(name, message, hint)
		return false
	}
	*to = v
	return true
}
