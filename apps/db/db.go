// Package db opens the one SQLite file that every worker of every site
// shares, and is the only package that knows its driver.
//
// Each process holds one connection that writes and a few that read. Writers
// of all processes queue at the file itself: every transaction begins
// IMMEDIATE, so a transaction that has started can always finish, and the
// busy timeout turns waiting into waiting instead of "database is locked".
// Readers never wait, for the file is in WAL mode, and cannot write.
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

// busyTimeout is how long a write waits for the writers of other processes.
const busyTimeout = 20 * time.Second

// readers is how many connections of one process may read at once.
const readers = 4

// DB is one process's share of the database. It is safe for concurrent use.
type DB struct {
	write *sql.DB
	read  *sql.DB
}

// Open opens the file at path, creating it with mode 0600 when it is missing.
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

// Queryer reads: the DB outside a transaction, or a *sql.Tx inside one.
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

// Write runs do in one transaction, which is rolled back when do fails. Keep
// it short: until it ends, no other process can write.
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

// Collect runs a query and reads every row through scan, which is given the
// row's Scan method.
func Collect[T any](ctx context.Context, from Queryer, scan func(func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what went wrong
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

// create makes an empty file readable by its owner alone, so that SQLite does
// not make it with the wider rights of the umask.
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

// escapePath keeps "?", "#" and "%" in a file's name out of the URI's syntax.
func escapePath(path string) string {
	return (&url.URL{Path: path}).EscapedPath()
}
