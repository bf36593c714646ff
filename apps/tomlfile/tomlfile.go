// Package tomlfile reads TOML files strictly: sites.toml and the settings files of Go
// sites. It knows the file and line of every key, reports keys that the reader has not
// asked for, and collects all mistakes instead of stopping at the first.
//
// A reader asks a Table for the keys that it knows, by name and type:
//
//	file, err := tomlfile.Read("blog.toml")
//	if err != nil {
//		return nil, err // no such file, or not TOML
//	}
//	top := file.Root()
//	top.String("title", &s.Title) // if absent, s.Title keeps its default
//	top.Table("database").Path("file", &s.Database)
//	return s, file.Problems().Err() // wrong types, unknown keys, all at once
//
// It is the only package that imports a TOML library.
package tomlfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// File is one TOML file that was read, and the problems in it so far.
type File struct {
	name       string            // as the user wrote it, for positions
	dir        string            // absolute; its relative paths start here
	lines      map[string]int    // line by path, from scanLines
	root       *Table            // the keys above the first table header
	tables     map[string]*Table // by path, those that the reader has asked for
	unresolved map[string]bool   // full keys with a variable that is not set
	problems   Problems          // reported so far
}

// Read reads the file at path and substitutes ${NAME} in its strings. The error is
// Problems: the file cannot be read, or it is not TOML.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{Position: Position{File: path}, Message: readMessage(err)}}
	}
	return Parse(path, data)
}

// Parse is Read for a file with the content data. Messages call the file path, and relative
// paths in it start at the directory of path.
func Parse(path string, data []byte) (*File, error) {
	values := map[string]any{}
	if _, err := toml.Decode(string(data), &values); err != nil {
		return nil, Problems{syntaxProblem(path, err)}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Problems{{Position: Position{File: path}, Message: err.Error()}}
	}
	f := &File{name: path, dir: dir, lines: scanLines(string(data)),
		tables: map[string]*Table{}, unresolved: map[string]bool{}}
	f.substitute(nil, values, os.LookupEnv)
	f.root = f.table(nil, values)
	return f, nil
}

// Root returns the table of the keys above the first table header.
func (f *File) Root() *Table { return f.root }

// Dir returns the absolute directory at which relative paths in the file start.
func (f *File) Dir() string { return f.dir }

// Add reports a problem that the reader has found. It drops a problem with a key whose
// variable is not set: that was reported already.
func (f *File) Add(p Problem) {
	if !f.unresolved[p.Key] {
		p.Message, p.Hint = printable(p.Message), printable(p.Hint)
		f.problems = append(f.problems, p)
	}
}

// Problems returns the problems that were reported, and one for every key that the reader
// has not asked for. It must be called after everything was read.
func (f *File) Problems() Problems {
	all := append(Problems{}, f.problems...)
	for _, t := range f.tables {
		all = append(all, t.unknown()...)
	}
	return all
}

// position returns the position of the key or table with this path.
func (f *File) position(path []string) Position {
	return Position{File: f.name, Line: f.lines[joinPath(path)]}
}

func (f *File) table(path []string, values map[string]any) *Table {
	key := joinPath(path)
	if f.tables[key] == nil {
		f.tables[key] = &Table{file: f, path: path, values: values}
	}
	return f.tables[key]
}

// readMessage returns the text of err without the path, which is in the position.
func readMessage(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// syntaxProblem returns the problem of a file that is not TOML.
func syntaxProblem(path string, err error) Problem {
	p := Problem{Position: Position{File: path}, Message: err.Error()}
	if syntax, ok := errors.AsType[toml.ParseError](err); ok {
		p.Line = syntax.Position.Line
		p.Message = sentence(syntax.Message) // without the column, which is often wrong
	}
	return p
}

// sentence gives a message of the library the form of the others.
func sentence(s string) string {
	s = printable(strings.TrimSuffix(s, "."))
	if r, n := utf8.DecodeRuneInString(s); !strings.HasPrefix(s, "TOML") {
		s = string(unicode.ToLower(r)) + s[n:]
	}
	return s
}

// printable makes a message that quotes a value one line of plain text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
