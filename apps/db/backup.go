package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Backup writes a compact copy of the database to a new file while other processes read
// and write. It does not overwrite a file. If it fails, it leaves no file.
func (d *DB) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("back up to %s: %w", path, fs.ErrExist), err)
	}
	partial := path + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	if err := create(partial); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	defer func() { _ = os.Remove(partial) }() // its other name remains if all went well
	if _, err := d.write.ExecContext(ctx, "VACUUM INTO ?", partial); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	if err := syncFile(partial); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	// Unlike Rename, Link does not overwrite a file that has been made in the meantime.
	if err := os.Link(partial, path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
