package site

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// SendFile returns which file below which of Sendfile the value of X-Accel-Redirect names: a
// path of URLs, percent-encoded.
func (s *Site) SendFile(uri string) (d *Static, name string, err error) {
	uri, _, _ = strings.Cut(uri, "?")
	p, err := url.PathUnescape(uri)
	if err != nil {
		return nil, "", err
	}
	p = path.Clean("/" + p)
	for i := range s.Sendfile {
		if name, ok := s.Sendfile[i].Match(p); ok && name != "" {
			return &s.Sendfile[i], name, nil
		}
	}
	return nil, "", fmt.Errorf("%q is below no URL prefix of sendfile", p)
}

// SendPath is SendFile for the value of X-Sendfile: an absolute path, as it is.
func (s *Site) SendPath(file string) (d *Static, name string, err error) {
	if !filepath.IsAbs(file) {
		return nil, "", errors.New("the path is not absolute")
	}
	file = filepath.Clean(file)
	for i := range s.Sendfile {
		for _, dir := range s.Sendfile[i].Dirs {
			if name, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(name) && name != "." {
				return &s.Sendfile[i], name, nil
			}
		}
	}
	return nil, "", fmt.Errorf("%q is in no directory of sendfile", file)
}
