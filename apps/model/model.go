// Package model describes an app's tables to the admin: which columns there
// are, what may stand in them, and how they look in a list and in a form.
//
// A Model is plain data. It never touches the database itself; the admin
// builds every statement from it, with each value passed as a parameter.
// Every table it describes has the columns "id INTEGER PRIMARY KEY" and
// "version INTEGER NOT NULL DEFAULT 1", which grows with every change and
// keeps two editors from overwriting each other.
package model

import (
	"context"
	"database/sql"
)

// Model is one table that the admin shows.
type Model struct {
	Name   string // in the admin's URLs: "post"
	Label  string // one of them: "post"
	Plural string // many of them: "posts"
	Table  string // "blog_post"
	Title  string // the column, or SQL over it, that names one row to a person

	Fields []Field
	List   []string // names of the fields shown in the list
	Search []string // names of the columns the search looks through
	Order  string   // SQL after ORDER BY, when the visitor chose none

	ReadOnly  bool // nothing can be added, changed or deleted
	Keep      bool // nothing can be deleted
	Superuser bool // only superusers see it

	// Check runs after a change and before it is committed. What it returns
	// is shown to the editor, and nothing is saved. It may be nil.
	Check func(ctx context.Context, tx *sql.Tx) error
}

// Kind says what a field holds, and so how it is entered and shown.
type Kind int

// The kinds of fields.
const (
	Text    Kind = iota // one line
	Long                // many lines
	Slug                // letters, digits, hyphens: part of a URL
	Email               // an address
	Integer             // a whole number
	Bool                // yes or no
	Moment              // date and time in the site's time zone
	Choice              // one of Choices
	Secret              // write only: empty leaves it as it is
	One                 // one row of another table: Refers
	Many                // any number of rows of another table: Refers through Through
)

// Field is one column, or one many-to-many relation, of a Model.
type Field struct {
	Name     string // the column; for Many only a name
	Label    string // "Published at"
	Help     string // one sentence below the field
	Kind     Kind
	Required bool
	Max      int    // characters; 0 means 200 for one line, 100,000 for many
	Default  string // as it would be typed into the form; "now", "me" for a Moment, a user
	Choices  []Option
	Refers   Ref
	Through  Through

	// ReadOnly fields are shown and never entered. With Expr, SQL over the
	// model's table, a field need not be a column.
	ReadOnly bool
	Expr     string

	// Encode turns what was entered into what is stored, or refuses it with a
	// sentence for the editor. It may be nil.
	Encode func(entered string) (stored string, err error)
}

// Option is one choice.
type Option struct{ Value, Label string }

// Ref names the table a field refers to, and the column or SQL that names one
// of its rows to a person.
type Ref struct{ Table, Title string }

// Through is the table that joins two others, with the columns of both sides.
type Through struct{ Table, From, To string }

// Field returns the field of that name.
func (m Model) Field(name string) (Field, bool) {
	for _, f := range m.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// SQL is what the field selects from the model's table.
func (f Field) SQL() string {
	if f.Expr != "" {
		return "(" + f.Expr + ")"
	}
	return `"` + f.Name + `"`
}

// Editable reports whether the field is entered in a form.
func (f Field) Editable() bool { return !f.ReadOnly && f.Expr == "" }
