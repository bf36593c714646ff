package tomlfile

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Table is one table of a file, on its way to become Go values. Each method that
// takes a name makes that name a known key; File.Problems reports the others.
type Table struct {
	file   *File
	path   []string
	values map[string]any
	known  []string
	all    bool // every name is a known key
}

// Has tells whether the table says name.
func (t *Table) Has(name string) bool {
	_, found := t.value(name)
	return found
}

// Value returns what the table says for name, as the TOML library decoded it, or
// nil: for keys of more than one type.
func (t *Table) Value(name string) any {
	value, _ := t.value(name)
	return value
}

// Names returns every name in the table, sorted, and makes all of them known:
// for tables whose names the user chooses, such as [site.NAME].
func (t *Table) Names() []string {
	t.all = true
	return slices.Sorted(maps.Keys(t.values))
}

// Table returns the table at name. It is empty if there is none.
func (t *Table) Table(name string) *Table {
	path := t.child(name)
	value, found := t.value(name)
	values, ok := value.(map[string]any)
	if found && !ok {
		t.WrongType(name, "a table")
	}
	return t.file.table(path, values)
}

// Tables returns every [[name]] in order.
func (t *Table) Tables(name string) []*Table {
	value, found := t.value(name)
	if !found {
		return nil
	}
	list, ok := tablesOf(value)
	if !ok {
		t.WrongType(name, "a list of tables")
		return nil
	}
	tables := make([]*Table, len(list))
	for i, values := range list {
		tables[i] = t.file.table(append(t.child(name), index(i)), values)
	}
	return tables
}

// Position returns where the table stands, or where name stands in it.
func (t *Table) Position(name ...string) Position {
	return t.file.position(append(slices.Clone(t.path), name...))
}

// Key returns the full dotted key of name, as messages show it.
func (t *Table) Key(name string) string { return dotted(t.child(name)) }

// Problem reports a mistake in the value of name. The hint may be empty.
func (t *Table) Problem(name, message, hint string) {
	at := t.Position(name)
	if at.Line == 0 { // it is name's absence that is wrong
		at = t.Position()
	}
	t.ProblemAt(at, name, message, hint)
}

// ProblemAt is Problem for a mistake in one Item of name.
func (t *Table) ProblemAt(at Position, name, message, hint string) {
	t.value(name) // it is not unknown as well
	t.file.Add(Problem{Position: at, Key: t.Key(name), Message: message, Hint: hint})
}

// WrongType reports that name must be want: "a whole number".
func (t *Table) WrongType(name, want string) {
	t.Problem(name, "must be "+want+", not "+typeName(t.Value(name)), "")
}

// Reject reports each of names that the table says, for keys that are known but
// belong elsewhere.
func (t *Table) Reject(message, hint string, names ...string) {
	for _, name := range names {
		// Has would make it known, and so the nearest to a mistyped key.
		if _, found := t.values[name]; found {
			t.Problem(name, message, hint)
		}
	}
}

// value looks name up and makes it known.
func (t *Table) value(name string) (any, bool) {
	if !slices.Contains(t.known, name) {
		t.known = append(t.known, name)
	}
	value, found := t.values[name]
	return value, found
}

// unknown reports the keys that were never asked for.
func (t *Table) unknown() Problems {
	var found Problems
	for name := range t.values {
		if t.all || slices.Contains(t.known, name) {
			continue
		}
		p := Problem{Position: t.Position(name), Key: t.Key(name), Message: unknownKey}
		if near := Nearest(name, t.known); near != "" {
			p.Hint = `did you mean "` + near + `"?`
		}
		found = append(found, p)
	}
	return found
}

func (t *Table) child(name string) []string {
	return append(slices.Clone(t.path), name)
}

// dotted writes a path as TOML would: site."blog.example".env, pages[2].title.
func dotted(path []string) string {
	var b strings.Builder
	for i, part := range path {
		if strings.HasPrefix(part, "[") {
			b.WriteString(part)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(toml.Key{part}.String())
	}
	return b.String()
}

// tablesOf takes both forms: [[name]] and name = [{...}, {...}].
func tablesOf(value any) ([]map[string]any, bool) {
	if tables, ok := value.([]map[string]any); ok {
		return tables, true
	}
	list, ok := value.([]any)
	tables := make([]map[string]any, len(list))
	for i, element := range list {
		if tables[i], ok = element.(map[string]any); !ok {
			return nil, false
		}
	}
	return tables, ok
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a decimal number"
	case bool:
		return "true or false"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	default:
		return "a list"
	}
}
