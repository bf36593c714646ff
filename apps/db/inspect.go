package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// Snapshot calls read with a transaction that sees the database at one moment.
func (d *DB) Snapshot(ctx context.Context, read func(*sql.Tx) error) error {
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	return read(tx)
}

// Tables returns the names of all tables, sorted.
func Tables(ctx context.Context, from Queryer) ([]string, error) {
	return names(ctx, from, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
}

// Columns returns the names of a table's columns, and those of its primary key.
func Columns(ctx context.Context, from Queryer, table string) (all, key []string, err error) {
	if all, err = names(ctx, from, "SELECT name FROM pragma_table_info(?)", table); err != nil {
		return nil, nil, err
	}
	key, err = names(ctx, from, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", table)
	return all, key, err
}

func names(ctx context.Context, from Queryer, query string, args ...any) ([]string, error) {
	return Collect(ctx, from, func(row func(...any) error) (string, error) {
		var name string
		err := row(&name)
		return name, err
	}, query, args...)
}

// Maps returns each row as a map from column to value.
func Maps(ctx context.Context, from Queryer, query string, args ...any) ([]map[string]any, error) {
	all := []map[string]any{}
	_, err := each(ctx, from, func(columns []string, values []any) {
		row := make(map[string]any, len(columns))
		for i, column := range columns {
			row[column] = values[i]
		}
		all = append(all, row)
	}, query, args...)
	return all, err
}

// Run runs any statement, reading or writing, and returns its rows as text.
func (d *DB) Run(ctx context.Context, statement string) (columns []string, rows [][]string, err error) {
	columns, err = each(ctx, d.write, func(_ []string, values []any) {
		row := make([]string, len(values))
		for i, value := range values {
			row[i] = strings.ReplaceAll(fmt.Sprint(value), "\n", `\n`)
			if value == nil {
				row[i] = "NULL"
			}
		}
		rows = append(rows, row)
	}, statement)
	return columns, rows, err
}

// each calls see with every row, and returns the names of the columns.
func each(ctx context.Context, from Queryer, see func(columns []string, values []any), query string, args ...any) ([]string, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has returned the error
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		see(columns, values)
	}
	return columns, rows.Err()
}
