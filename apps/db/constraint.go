package db

import (
	"errors"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// Unique returns the columns, as "table.column", that a write failed for
// because their values are taken already. It returns none for other errors.
func Unique(err error) []string {
	code, text := extended(err)
	if code != sqlite3.ErrConstraintUnique && code != sqlite3.ErrConstraintPrimaryKey {
		return nil
	}
	// SQLite names them nowhere else: "UNIQUE constraint failed: a.b, a.c".
	_, columns, _ := strings.Cut(text, "failed: ")
	return strings.Split(columns, ", ")
}

// IsForeignKey reports whether a write failed because a row it refers to is
// missing, or because other rows still refer to it.
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
