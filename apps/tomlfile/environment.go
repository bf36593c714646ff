package tomlfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// variable matches ${...}, and $${, which is a literal ${. Any other dollar sign stands
// for itself, so that passwords need no escaping.
var variable = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
var variableParts = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}$`)

// substitute replaces ${NAME} and ${NAME:-default} in every string below value, and
// returns value. The default is used for a variable that is unset or empty.
func (f *File) substitute(path []string, value any, lookup func(string) (string, bool)) any {
	child := func(part string) []string { return append(slices.Clone(path), part) }
	switch v := value.(type) {
	case string:
		return f.expand(path, v, lookup)
	case map[string]any:
		for name := range v {
			v[name] = f.substitute(child(name), v[name], lookup)
		}
	case []any:
		for i := range v {
			v[i] = f.substitute(child(index(i)), v[i], lookup)
		}
	case []map[string]any:
		for i := range v {
			f.substitute(child(index(i)), v[i], lookup)
		}
	}
	return value
}

// expand returns s with its variables replaced. A variable that is not set is a problem
// and is not replaced.
func (f *File) expand(path []string, s string, lookup func(string) (string, bool)) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return variable.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasPrefix(found, "$$") {
			return found[1:]
		}
		problem := Problem{Position: f.position(path), Key: dotted(withoutIndex(path))}
		parts := variableParts.FindStringSubmatch(found)
		if parts == nil {
			problem.Message = fmt.Sprintf("%q is not a variable", found)
			problem.Hint = "write ${NAME} or ${NAME:-default}; a literal ${ is written $${"
			f.addUnresolved(problem)
			return found
		}
		name, fallback := parts[1], parts[2]
		if v, set := lookup(name); set && (v != "" || fallback == "") {
			return v
		}
		if fallback == "" {
			problem.Message = "environment variable " + name + " is not set"
			problem.Hint = "set it, or give a default: ${" + name + ":-default}"
			f.addUnresolved(problem)
			return found
		}
		return strings.TrimPrefix(fallback, ":-")
	})
}

// addUnresolved reports a variable that has no value. The code that reads the key reports
// nothing more about it.
func (f *File) addUnresolved(p Problem) {
	f.problems = append(f.problems, p)
	f.unresolved[p.Key] = true
}

// withoutIndex returns the path of the list that an element is in: messages name lists.
func withoutIndex(path []string) []string {
	for len(path) > 0 && strings.HasPrefix(path[len(path)-1], "[") {
		path = path[:len(path)-1]
	}
	return path
}
