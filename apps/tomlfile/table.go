package tomlfile

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Table is one table of a file, from which a reader takes values. Each method with the
// name of a key, except Position, Key and Reject, makes that key known; File.Problems
// reports the keys that are not.
type Table struct {
	file   *File          // collects the problems
	path   []string       // of the table; empty for the root
	values map[string]any // as the TOML library decoded them; nil for an absent table
	known  []string       // keys that the reader has asked for
	all    bool           // whether every key is known
}

// Has reports whether the table has the key name.
func (t *Table) Has(name string) bool {
	_, found := t.value(name)
	return found
}

// Value returns the value of name as the TOML library decoded it, or nil. It is for keys
// that may have more than one type.
func (t *Table) Value(name string) any {
	value, _ := t.value(name)
	return value
}

// Names returns the keys of the table, sorted, and makes all of them known. It is for
// tables whose keys the user chooses, such as [site.NAME].
func (t *Table) Names() []string {
	t.all = true
	return slices.Sorted(maps.Keys(t.values))
}

// Table returns the table at name. It is empty if there is none. It reports a value that
// is not a table.
func (t *Table) Table(name string) *Table {
	path := t.child(name)
	value, found := t.value(name)
	values, ok := value.(map[string]any)
	if found && !ok {
		t.WrongType(name, "a table")
	}
	return t.file.table(path, values)
}

// IsTable reports whether the value of name is a table, for keys that may be a table or
// something else.
func (t *Table) IsTable(name string) bool {
	value, _ := t.value(name)
	_, is := value.(map[string]any)
	return is
}

// Tables returns the tables [[name]] in order.
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

// Position returns the position of the table, or of name in it.
func (t *Table) Position(name ...string) Position {
	return t.file.position(append(slices.Clone(t.path), name...))
}

// Key returns the full dotted key of name, as it is in messages.
func (t *Table) Key(name string) string { return dotted(t.child(name)) }

// Problem reports a mistake in the value of name. The hint may be "".
func (t *Table) Problem(name, message, hint string) {
	at := t.Position(name)
	if at.Line == 0 { // name is missing
		at = t.Position()
	}
	t.ProblemAt(at, name, message, hint)
}

// ProblemAt reports a mistake in one Item of name.
func (t *Table) ProblemAt(at Position, name, message, hint string) {
	t.value(name) // do not report it as unknown as well
	t.file.Add(Problem{Position: at, Key: t.Key(name), Message: message, Hint: hint})
}

// WrongType reports that the value of name must be want, such as "a whole number".
func (t *Table) WrongType(name, want string) {
	t.Problem(name, "must be "+want+", not "+typeName(t.Value(name)), "")
}

// Reject reports those of names that the table has. It is for keys that belong elsewhere.
func (t *Table) Reject(message, hint string, names ...string) {
	for _, name := range names {
		// Has would make it known, and a hint could then suggest it for a mistyped key.
		if _, found := t.values[name]; found {
			t.Problem(name, message, hint)
		}
	}
}

// value returns the value of name and makes it known.
func (t *Table) value(name string) (any, bool) {
	if !slices.Contains(t.known, name) {
		t.known = append(t.known, name)
	}
	value, found := t.values[name]
	return value, found
}

// unknown returns a problem for each key that the reader has not asked for.
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

// dotted returns a path as in TOML: site."blog.example".env, pages[2].title.
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

// tablesOf accepts both forms of a list of tables: [[name]] and name = [{...}, {...}].
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
