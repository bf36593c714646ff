package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/multisite/multisite/supervisor/config"
)

// writeDemo writes the sites.toml of the demo. It never overwrites a file; one with the
// same content is no error.
func (c *cli) writeDemo() error {
	path, _ := c.path()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		if there, _ := os.ReadFile(path); bytes.Equal(there, config.Demo()) {
			return nil
		}
		return &usageError{err: fmt.Errorf("%s exists already and is not the demo", path), hint: "start it without --demo"}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(config.Demo())
	return errors.Join(err, f.Close())
}
