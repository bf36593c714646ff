package static

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/multisite/multisite/supervisor/site"
)

// Found is what the directories of a site have for the path of a request.
type Found struct {
	File *File // nil: there is none; whoever gets it calls Release
	Only bool  // there is none, and no worker is to be asked
}

// locate looks a path up in the directories of a site. An error means that this says
// nothing of the file.
func (f *Files) locate(s *site.Site, p string) (Found, error) {
	for _, d := range s.Static {
		rest, ok := strings.CutPrefix(p, d.Prefix)
		if !ok {
			continue
		}
		if name := localName(rest); name != "" {
			file, err := f.openFirst(s, d, name)
			if file != nil || err != nil {
				return Found{File: file}, err
			}
		}
		if d.Only {
			return Found{Only: true}, nil
		}
	}
	return Found{}, nil
}

// localName returns the name that a path asks for below a directory, or "" if that cannot
// be a file that is served.
func localName(p string) string {
	name := strings.TrimPrefix(path.Clean("/"+p), "/")
	if strings.HasSuffix(p, "/") || hidden(name) {
		return ""
	}
	return name
}

// hidden reports whether a path has an element that begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// openFirst opens a regular file in the first of the directories that has it. It returns
// nil if none has.
func (f *Files) openFirst(s *site.Site, d site.Static, name string) (*File, error) {
	for _, dir := range d.Dirs {
		opened, err := open(d, dir, name)
		if isShortage(err) {
			return nil, err
		}
		if err == nil {
			if file := newFile(opened, name, f.disk, s.Name); file != nil {
				return file, nil
			}
		}
	}
	return nil, nil
}

// isShortage reports whether there are no descriptors or no memory to open a file.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// open opens a file below dir, with the rights of the site. It follows no symbolic link
// that leads out of dir.
func open(d site.Static, dir, name string) (f *os.File, err error) {
	if d.As == nil {
		return openBelow(dir, name)
	}
	if asErr := d.As(func() { f, err = openBelow(dir, name) }); asErr != nil {
		return nil, asErr
	}
	return f, err
}

func openBelow(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	const flags = os.O_RDONLY | syscall.O_NONBLOCK // or opening a named pipe would wait
	f, err := root.OpenFile(name, flags, 0)
	if err == nil || errors.Is(err, fs.ErrNotExist) || isShortage(err) {
		return f, err
	}
	if real, ok := realName(dir, name); ok { // a Root follows no absolute link
		return root.OpenFile(real, flags, 0)
	}
	return nil, err
}

// realName returns the name that a file below dir has there without symbolic links.
func realName(dir, name string) (real string, ok bool) {
	whole, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		return "", false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", false
	}
	real, err = filepath.Rel(dir, whole)
	return real, err == nil && filepath.IsLocal(real)
}
