package tomlfile

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

const unknownKey = "unknown key"

// Position is a line of a file, or with Line 0 the whole file.
type Position struct {
	File string
	Line int
}

// String returns "sites.toml:12".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Problem is one mistake in a file. Its error text is one line. Hint may be ""; it says
// what would be right and is printed on a line of its own.
type Problem struct {
	Position
	Key     string // full dotted key: site.blog.processes
	Message string
	Hint    string
}

// Error returns "sites.toml:12: site.blog.threads: must be a whole number, not a
// string", or "sites.toml:12: unknown key "site.blog.proceses"".
func (p Problem) Error() string {
	switch {
	case p.Key == "":
		return p.Position.String() + ": " + p.Message
	case p.Message == unknownKey:
		return p.Position.String() + ": " + unknownKey + ` "` + p.Key + `"`
	default:
		return p.Position.String() + ": " + p.Key + ": " + p.Message
	}
}

// String returns the same as Error. It hides the String of the embedded Position.
func (p Problem) String() string { return p.Error() }

// Problems is a list of mistakes as one error. Code that prints it should print each
// Problem and its Hint.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns nil if there are no problems, and otherwise Problems sorted by file and line
// without duplicates.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sorted := slices.Clone(ps)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(sorted)
}
