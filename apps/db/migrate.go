package db

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"
)

// Migrations are the SQL files of one app. Each runs once, in order of name.
type Migrations struct {
	App   string
	Files fs.FS // *.sql at any depth
}

const migrationTable = `CREATE TABLE IF NOT EXISTS migration (
	app        TEXT NOT NULL,
	name       TEXT NOT NULL,
	applied_at TEXT NOT NULL,
	PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID`

// Migrate applies the missing migrations and returns their names, as "app/name". It uses
// one transaction: of processes that start together the first one does the work, and a
// migration that fails changes nothing.
func (d *DB) Migrate(ctx context.Context, all []Migrations) ([]string, error) {
	var applied []string
	err := d.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, migrationTable); err != nil {
			return fmt.Errorf("create the table of migrations: %w", err)
		}
		for _, app := range all {
			names, err := migrateApp(ctx, tx, app)
			if err != nil {
				return fmt.Errorf("migrate app %s: %w", app.App, err)
			}
			applied = append(applied, names...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

func migrateApp(ctx context.Context, tx *sql.Tx, app Migrations) ([]string, error) {
	var applied []string
	if app.Files == nil {
		return nil, nil
	}
	// WalkDir goes in order of name.
	err := fs.WalkDir(app.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".sql") {
			return err
		}
		name := strings.TrimSuffix(entry.Name(), ".sql")
		done, err := migrateOne(ctx, tx, app, path, name)
		if done {
			applied = append(applied, app.App+"/"+name)
		}
		return err
	})
	return applied, err
}

func migrateOne(ctx context.Context, tx *sql.Tx, app Migrations, path, name string) (done bool, err error) {
	result, err := tx.ExecContext(ctx,
		"INSERT INTO migration (app, name, applied_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", app.App, name, Now())
	if err != nil {
		return false, err
	}
	if new, err := result.RowsAffected(); err != nil || new == 0 {
		return false, err
	}
	statements, err := fs.ReadFile(app.Files, path)
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}
