package static

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/multisite/multisite/supervisor/site"
)

// place is a directory below which files are opened. No symbolic link leads out of it.
type place struct {
	dir  string
	root *os.Root
}

// in calls f with the directory, and with the rights of the site.
func in(d site.Static, dir string, f func(place) error) (err error) {
	open := func() {
		var root *os.Root
		if root, err = os.OpenRoot(dir); err == nil {
			defer root.Close()
			err = f(place{dir, root})
		}
	}
	if d.As == nil {
		open()
		return err
	}
	if asErr := d.As(open); asErr != nil {
		return asErr
	}
	return err
}

// open opens what has a name below the directory.
func (p place) open(name string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK // or opening a named pipe would wait
	f, err := p.root.OpenFile(name, flags, 0)
	if err == nil || errors.Is(err, fs.ErrNotExist) || isShortage(err) {
		return f, err
	}
	if real, ok := p.realName(name); ok { // a Root follows no absolute link
		return p.root.OpenFile(real, flags, 0)
	}
	return nil, err
}

// openRegular is open for regular files alone. It returns nil if there is none.
func (p place) openRegular(name string) (*os.File, fs.FileInfo, error) {
	f, err := p.open(name)
	if isShortage(err) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, nil, nil
	}
	return f, info, nil
}

// isDir reports whether a name is a directory.
func (p place) isDir(name string) bool {
	f, err := p.open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.IsDir()
}

// realName returns the name that a file below the directory has there without symbolic
// links.
func (p place) realName(name string) (real string, ok bool) {
	whole, err := filepath.EvalSymlinks(filepath.Join(p.dir, name))
	if err != nil {
		return "", false
	}
	dir, err := filepath.EvalSymlinks(p.dir)
	if err != nil {
		return "", false
	}
	real, err = filepath.Rel(dir, whole)
	return real, err == nil && filepath.IsLocal(real)
}

// isShortage reports whether there are no descriptors or no memory to open a file.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}
