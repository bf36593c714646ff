package db

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is a time as the database has it: text in UTC, to the second, which sorts in order
// of time and is readable in a dump. The zero Time is NULL.
type Time struct{ time.Time }

// Now returns the current time, to the second.
func Now() Time { return Time{time.Now().UTC().Truncate(time.Second)} }

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UTC().Format(time.RFC3339), nil
}

// Scan implements sql.Scanner.
func (t *Time) Scan(value any) error {
	switch value := value.(type) {
	case nil:
		*t = Time{}
		return nil
	case string:
		parsed, err := time.Parse(time.RFC3339, value)
		*t = Time{parsed}
		return err
	}
	return fmt.Errorf("read a time from %T", value)
}
