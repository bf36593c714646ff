package apps

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/db"
)

// dumped is one table of a dump. A dump is a list of them.
type dumped struct {
	Table string           `json:"table"`
	Rows  []map[string]any `json:"rows"`
}

// dumpData writes the tables of apps as JSON, as they are at one moment.
func dumpData(ctx context.Context, c *command, flags *flag.FlagSet) error {
	tables, err := c.tables(ctx, flags.Args())
	if err != nil {
		return err
	}
	all := []dumped{}
	err = c.db.Snapshot(ctx, func(tx *sql.Tx) error {
		for _, table := range tables {
			rows, err := db.Maps(ctx, tx, `SELECT * FROM "`+table+`" ORDER BY 1`)
			if err != nil {
				return fmt.Errorf("dump %s: %w", table, err)
			}
			all = append(all, dumped{table, rows})
		}
		return nil
	})
	if err != nil {
		return err
	}
	out := json.NewEncoder(c.stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(all)
}

// loadData loads a dump. It replaces existing rows, adds others and deletes none. If it
// fails, it changes nothing.
func loadData(ctx context.Context, c *command, flags *flag.FlagSet) error {
	all, err := readDump(c.stdin, flags.Arg(0))
	if err != nil {
		return fmt.Errorf("read %s: %w", flags.Arg(0), err)
	}
	known, err := c.tables(ctx, nil)
	if err != nil {
		return err
	}
	count := 0
	err = c.db.Write(ctx, func(tx *sql.Tx) error {
		// Rows may refer to rows that come later in the dump.
		if _, err := tx.ExecContext(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
			return err
		}
		for _, d := range all {
			if !slices.Contains(known, d.Table) {
				return fmt.Errorf("no installed app has a table %q", d.Table)
			}
			for i, row := range d.Rows {
				if err := upsert(ctx, tx, d.Table, row); err != nil {
					return fmt.Errorf("load row %d of %s: %w", i+1, d.Table, err)
				}
				count++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "Loaded %d rows.\n", count)
	return err
}

func readDump(stdin io.Reader, name string) ([]dumped, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // nothing was written to it
		in = file
	}
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	decoder.UseNumber() // IDs are whole numbers, not floats
	var all []dumped
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the dump")
	}
	return all, nil
}

// upsert writes one row. It updates an existing row in place: to delete it first would
// delete the rows that refer to it.
func upsert(ctx context.Context, tx *sql.Tx, table string, row map[string]any) error {
	columns, keys, err := db.Columns(ctx, tx, table)
	if err != nil {
		return err
	}
	var names, sets []string
	var args []any
	for name, value := range row {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("there is no column %q", name)
		}
		if number, ok := value.(json.Number); ok {
			value = number.String() // the column's type makes it a number again
		}
		names = append(names, `"`+name+`"`)
		sets = append(sets, fmt.Sprintf(`"%s" = excluded."%s"`, name, name))
		args = append(args, value)
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO "%s" (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s`,
		table, strings.Join(names, ", "), strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", "),
		strings.Join(keys, ", "), strings.Join(sets, ", ")), args...)
	return err
}

// tables returns the tables of the apps in only, or of all installed apps that are not
// transient. The name of a table begins with that of its app.
func (c *command) tables(ctx context.Context, only []string) ([]string, error) {
	wanted := map[string]bool{}
	for _, a := range c.installed {
		wanted[a.Name] = len(only) == 0 && !a.Transient || slices.Contains(only, a.Name)
	}
	for _, name := range only {
		if !wanted[name] {
			return nil, usageError{fmt.Sprintf("the app %q is not installed", name), "installed are: " + strings.Join(c.settings.InstalledApps, ", ")}
		}
	}
	all, err := db.Tables(ctx, c.db)
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, a := range c.installed {
		for _, table := range all {
			if wanted[a.Name] && strings.HasPrefix(table, a.Name+"_") {
				tables = append(tables, table)
			}
		}
	}
	return tables, nil
}
