package db

import (
	"errors"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// Unique returns the columns, as "table.column", whose values another row has already,
// if that is why a write failed. It returns none for other errors.
func Unique(err error) []string {
	code, text := extended(err)
	if code != sqlite3.ErrConstraintUnique && code != sqlite3.ErrConstraintPrimaryKey {
		return nil
	}
	// Only the message has the columns: "UNIQUE constraint failed: a.b, a.c".
	_, columns, _ := strings.Cut(text, "failed: ")
	return strings.Split(columns, ", ")
}

// IsForeignKey reports whether a write failed because a referenced row is missing, or
// because other rows still refer to the row.
func IsForeignKey(err error) bool {
	code, _ := extended(err)
	return code == sqlite3.ErrConstraintForeignKey || code == sqlite3.ErrConstraintTrigger
}

func isBusy(err error) bool {
	var failed sqlite3.Error
	return errors.As(err, &failed) && failed.Code == sqlite3.ErrBusy
}

func extended(err error) (sqlite3.ErrNoExtended, string) {
	var failed sqlite3.Error
	if !errors.As(err, &failed) {
		return 0, ""
	}
	return failed.ExtendedCode, failed.Error()
}
