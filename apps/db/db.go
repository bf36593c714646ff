// Package db opens the SQLite file that all workers of all sites share. It is the only
// package of apps that knows the driver.
//
// Each process has one connection that writes and several that read. Every writing
// transaction is IMMEDIATE: it waits for the lock when it begins, up to busyTimeout, and
// once it has begun it can always finish. Readers do not wait, because the file is in WAL
// mode, and they cannot write.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // registers the driver "sqlite3"
)

// busyTimeout is how long a write waits for writers of other processes.
const busyTimeout = 20 * time.Second

// readers is the number of connections of one process that may read at once.
const readers = 4

// DB has the connections of one process. It is safe for concurrent use.
type DB struct {
	write *sql.DB // one connection; its transactions are IMMEDIATE
	read  *sql.DB // up to readers connections, which refuse to write
}

// Open opens the file at path. It makes a missing file with mode 0600.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	write, err := sql.Open("sqlite3", dsn(path, "_txlock", "immediate"))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite3", dsn(path, "_query_only", "true"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)

	d := &DB{write: write, read: read}
	if err := enableWAL(ctx, write); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), d.Close())
	}
	return d, nil
}

// Close closes every connection of this process.
func (d *DB) Close() error {
	return errors.Join(d.read.Close(), d.write.Close())
}

// Queryer is a DB, or a *sql.Tx inside a transaction.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// QueryContext reads rows. The connection it runs on refuses to write.
func (d *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.read.QueryContext(ctx, query, args...)
}

// QueryRowContext reads one row. The connection it runs on refuses to write.
func (d *DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return d.read.QueryRowContext(ctx, query, args...)
}

// ExecContext runs one writing statement in a transaction of its own.
func (d *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return d.write.ExecContext(ctx, query, args...)
}

// Write runs do in one transaction, and rolls it back if do returns an error. The
// transaction must be short: no other process can write before it ends.
func (d *DB) Write(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

// Collect runs a query and returns what scan returns for each row. The argument of scan
// is the row's Scan method.
func Collect[T any](ctx context.Context, from Queryer, scan func(func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has returned the error
	var all []T
	for rows.Next() {
		one, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// create makes an empty file that only its owner can read. SQLite would make it with the
// permissions of the umask.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func dsn(path, key, value string) string {
	query := url.Values{
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_foreign_keys": {"on"},
		"_synchronous":  {"NORMAL"},
		key:             {value},
	}
	return (&url.URL{Scheme: "file", Opaque: escapePath(path), RawQuery: query.Encode()}).String()
}

// escapePath escapes "?", "#" and "%", which have a meaning in a URI.
func escapePath(path string) string {
	return (&url.URL{Path: path}).EscapedPath()
}
