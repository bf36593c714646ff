// Package model describes an app's tables to the admin: which columns they have, what the
// columns may contain, and how they look in a list and in a form.
//
// A Model is plain data and does not use the database. The admin builds its statements
// from it and passes each value as a parameter. Every table must have the columns "id
// INTEGER PRIMARY KEY" and "version INTEGER NOT NULL DEFAULT 1". The version grows with
// every change, which keeps two editors from overwriting each other.
package model

import (
	"context"
	"database/sql"
)

// Model is one table that the admin shows.
type Model struct {
	Name   string // in the admin's URLs: "post"
	Label  string // singular: "post"
	Plural string // "posts"
	Table  string // "blog_post"
	Title  string // SQL expression, such as a column, for the title of a row

	Fields []Field
	List   []string // names of the fields that the list shows
	Search []string // names of the columns that are searched
	Order  string   // SQL after ORDER BY, unless the visitor sorts by a field

	ReadOnly  bool // rows cannot be added, changed or deleted
	NoDelete  bool // rows cannot be deleted
	Superuser bool // only superusers see the model

	// Check runs after a change and before the commit. An error is shown to the editor,
	// and nothing is saved. Check may be nil.
	Check func(ctx context.Context, tx *sql.Tx) error
}

// Kind is the kind of a field's values. It decides how they are entered and shown.
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
	Secret              // write only: an empty value does not change it
	One                 // one row of another table: Refers
	Many                // any number of rows of another table: Refers through Through
)

// Field is one column, or one many-to-many relation, of a Model.
type Field struct {
	Name     string // of the column; for Many any name
	Label    string // "Published at"
	Help     string // one sentence below the field
	Kind     Kind
	Required bool
	Max      int      // characters; 0 means 200 for one line, 100,000 for many lines
	Default  string   // as typed into the form; "now" for a Moment, "me" for a reference to a user
	Choices  []Option // of a Choice
	Refers   Ref      // of One and Many
	Through  Through  // of Many

	// A ReadOnly field is shown but cannot be entered. A field with Expr, an SQL
	// expression over the model's table, is not a column and cannot be entered either.
	ReadOnly bool
	Expr     string

	// Encode returns the stored value of what was entered, or an error that is shown to
	// the editor. Encode may be nil.
	Encode func(entered string) (stored string, err error)
}

// Option is one choice.
type Option struct{ Value, Label string }

// Ref is the table that a field refers to, and the SQL expression for the title of its
// rows.
type Ref struct{ Table, Title string }

// Through is the table of a many-to-many relation, and its columns for both sides.
type Through struct{ Table, From, To string }

// Field returns the field with this name.
func (m Model) Field(name string) (Field, bool) {
	for _, f := range m.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// SQL returns the SQL expression for the field's value in a row of the model's table.
func (f Field) SQL() string {
	if f.Expr != "" {
		return "(" + f.Expr + ")"
	}
	return `"` + f.Name + `"`
}

// Editable reports whether the field is entered in a form.
func (f Field) Editable() bool { return !f.ReadOnly && f.Expr == "" }
