package static

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/site"
)

// located is what the directories of a site have for a path.
type located struct {
	file     *File   // nil: there is none
	coded    []*File // the same contents, as they stand encoded beside it
	only     bool    // there is none, and no worker is to be asked
	location string  // the path with a slash at its end: it is a directory with an index
}

// locate looks a path up in the directories of a site. An error means that this says
// nothing of the file.
func (f *Files) locate(k key) (located, error) {
	s, p := k.site, k.path
	if k.in != nil {
		return f.locateNamed(s, *k.in, p)
	}
	for _, d := range s.Static {
		rest, ok := d.Match(p)
		if !ok {
			continue
		}
		l, err := f.locateIn(s, d, rest, p == d.Prefix && !strings.HasSuffix(p, "/"))
		if err != nil || l.file != nil || l.location != "" {
			return l, err
		}
		if d.Only {
			return located{only: true}, nil
		}
	}
	return located{}, nil
}

// locateIn looks a path up in the first of d's directories that has it. itself: the path is
// d's, which may name a file.
func (f *Files) locateIn(s *site.Site, d site.Static, rest string, itself bool) (l located, err error) {
	name := strings.TrimPrefix(path.Clean("/"+rest), "/")
	if hidden(name) {
		return located{}, nil
	}
	for _, dir := range d.Dirs {
		var o opened
		switch {
		case itself:
			o, err = f.openItself(s, d, dir)
		case strings.HasSuffix(rest, "/") || rest == "":
			o, err = f.openIndex(s, d, dir, name)
		default:
			o, err = f.openNamed(s, d, dir, name)
		}
		if l = f.newLocated(s, o); o.slash {
			at := url.URL{Path: strings.TrimSuffix(d.Prefix, "/") + "/" + name}
			l.location = strings.TrimSuffix(at.EscapedPath(), "/") + "/"
		}
		if err != nil || l.file != nil || l.location != "" {
			return l, err
		}
	}
	return l, nil
}

// locateNamed looks up a file that a worker has named. It is sent as it is.
func (f *Files) locateNamed(s *site.Site, d site.Static, name string) (located, error) {
	o := opened{name: name}
	for _, dir := range d.Dirs {
		err := in(d, dir, func(p place) (err error) {
			o.file, o.info, err = p.openRegular(name)
			return err
		})
		if isShortage(err) {
			return located{}, err
		}
		if o.file != nil {
			a := about{name: name, typ: contentType(o.file, name), modified: o.info.ModTime()}
			return located{file: newFile(o.file, o.info, a, f.disk, s.Name)}, nil
		}
	}
	return located{only: true}, nil
}

// opened is a regular file with what stands encoded beside it.
type opened struct {
	name      string
	file      *os.File // nil: there is none
	info      fs.FileInfo
	coded     []codedFile
	immutable bool
	slash     bool // there is a directory instead, with an index
}

type codedFile struct {
	code coding.Coding
	file *os.File
	info fs.FileInfo
}

// openNamed opens a file below a directory, or notes that it is a directory with an index.
func (f *Files) openNamed(s *site.Site, d site.Static, dir, name string) (o opened, err error) {
	k := manifestKey{s.Name, dir}
	m := f.manifest(k)
	err = in(d, dir, func(p place) error {
		o, err = p.openAll(s, name)
		o.slash = err == nil && o.file == nil && s.Index != "" && p.isDir(name) && p.hasIndex(s, name)
		m = p.readManifest(m)
		return err
	})
	f.noteManifest(k, m)
	o.immutable = m != nil && m.hashed[name]
	return o, shortage(err)
}

// openIndex opens the index of a directory.
func (f *Files) openIndex(s *site.Site, d site.Static, dir, name string) (o opened, err error) {
	if s.Index == "" {
		return o, nil
	}
	err = in(d, dir, func(p place) error {
		o, err = p.openAll(s, filepath.Join(name, s.Index))
		return err
	})
	return o, shortage(err)
}

// openItself opens a file that sites.toml names, also by a link, or notes that it is a
// directory with an index.
func (f *Files) openItself(s *site.Site, d site.Static, file string) (o opened, err error) {
	if real, realErr := filepath.EvalSymlinks(file); realErr == nil { // without rights to it, neither is it opened
		file = real
	}
	return f.openNamed(s, d, filepath.Dir(file), filepath.Base(file))
}

// shortage returns an error only if it says nothing of the file.
func shortage(err error) error {
	if isShortage(err) {
		return err
	}
	return nil
}

func (p place) hasIndex(s *site.Site, name string) bool {
	file, _, _ := p.openRegular(filepath.Join(name, s.Index))
	if file != nil {
		file.Close()
	}
	return file != nil
}

// openAll opens a regular file and those beside it that have the same contents encoded,
// unless they are older.
func (p place) openAll(s *site.Site, name string) (o opened, err error) {
	o.name = name
	if o.file, o.info, err = p.openRegular(name); o.file == nil || s.NoCompression {
		return o, err
	}
	for _, code := range []coding.Coding{coding.Brotli, coding.Zstd, coding.Gzip} {
		file, info, _ := p.openRegular(name + code.Extension()) // without it, the file itself is sent
		switch {
		case file == nil:
		case info.ModTime().Before(o.info.ModTime()):
			file.Close()
		default:
			o.coded = append(o.coded, codedFile{code, file, info})
		}
	}
	return o, nil
}

// newLocated makes files of what was opened.
func (f *Files) newLocated(s *site.Site, o opened) located {
	if o.file == nil {
		return located{}
	}
	a := about{name: o.name, typ: contentType(o.file, o.name), modified: o.info.ModTime(), immutable: o.immutable}
	a.encodable = !s.NoCompression && coding.Pays(a.typ) && o.info.Size() >= coding.MinSize && o.info.Size() <= maxEncoded
	a.varies = a.encodable || len(o.coded) > 0
	l := located{file: newFile(o.file, o.info, a, f.disk, s.Name)}
	for _, c := range o.coded {
		a.code = c.code
		l.coded = append(l.coded, newFile(c.file, c.info, a, f.disk, s.Name))
	}
	return l
}

// hidden reports whether a path has an element that begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// same reports whether two lookups have found the same.
func (l *located) same(other *located) bool {
	if l.file == nil || other.file == nil || l.file.id != other.file.id || l.file.about != other.file.about || len(l.coded) != len(other.coded) {
		return false
	}
	for i, c := range l.coded {
		if c.id != other.coded[i].id || c.about.code != other.coded[i].about.code {
			return false
		}
	}
	return true
}

// descriptors returns how many are open.
func (l *located) descriptors() int {
	if l.file == nil {
		return 0
	}
	return 1 + len(l.coded)
}

// take returns l for another user.
func (l *located) take() located {
	for _, file := range l.files() {
		file.refs.Add(1)
	}
	return *l
}

// release ends a use. It reports whether that closes a file.
func (l *located) release() (closed bool) {
	for _, file := range l.files() {
		closed = file.Release() || closed
	}
	return closed
}

func (l *located) files() []*File {
	if l.file == nil {
		return nil
	}
	return append(l.coded[:len(l.coded):len(l.coded)], l.file)
}
