// Package tomlfile reads TOML files strictly: sites.toml and the settings files
// of Go sites. It knows the file and line of every key, refuses keys nobody
// asked for, and collects every mistake instead of stopping at the first.
//
// A reader asks a Table for the keys it knows, by name and type:
//
//	file, err := tomlfile.Read("blog.toml")
//	if err != nil {
//		return nil, err // no such file, or not TOML
//	}
//	top := file.Root()
//	top.String("title", &s.Title) // absent: s.Title keeps its default
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

// File is one TOML file that was read, and the problems found in it so far.
type File struct {
	name       string // as the user wrote it: what positions show
	dir        string // absolute: where its relative paths start
	lines      map[string]int
	root       *Table
	tables     map[string]*Table // by path: those a reader asked for
	unresolved map[string]bool   // keys with a variable that is not set
	problems   Problems
}

// Read reads the file at path and substitutes ${NAME} in its strings. The error
// is Problems: the file cannot be read, or it is not TOML.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{Position: Position{File: path}, Message: readMessage(err)}}
	}
	return Parse(path, data)
}

// Parse reads data as Read reads a file's content. Messages call it path, and
// relative paths in it start at path's directory.
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

// Root returns the table of the top-level keys.
func (f *File) Root() *Table { return f.root }

// Dir returns the absolute directory that the file's relative paths start from.
func (f *File) Dir() string { return f.dir }

// Add reports a problem that the reader of the file found. What comes of a
// variable that is not set was reported already and is left out.
func (f *File) Add(p Problem) {
	if !f.unresolved[p.Key] {
		p.Message, p.Hint = printable(p.Message), printable(p.Hint)
		f.problems = append(f.problems, p)
	}
}

// Problems returns all that is wrong with the file: what was reported, and every
// key that no reader asked for. Call it when everything has been read.
func (f *File) Problems() Problems {
	all := append(Problems{}, f.problems...)
	for _, t := range f.tables {
		all = append(all, t.unknown()...)
	}
	return all
}

// position returns where the key or table with this path stands.
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

// readMessage leaves out the path: the problem's position names it already.
func readMessage(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

func syntaxProblem(path string, err error) Problem {
	p := Problem{Position: Position{File: path}, Message: err.Error()}
	if syntax, ok := errors.AsType[toml.ParseError](err); ok {
		p.Line = syntax.Position.Line
		p.Message = sentence(syntax.Message) // its column is often wrong
	}
	return p
}

// sentence makes the library's messages look like ours.
func sentence(s string) string {
	s = printable(strings.TrimSuffix(s, "."))
	if r, n := utf8.DecodeRuneInString(s); !strings.HasPrefix(s, "TOML") {
		s = string(unicode.ToLower(r)) + s[n:]
	}
	return s
}

// printable keeps a message that quotes a value to one line of plain text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
