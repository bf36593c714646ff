package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/worker/account"
)

const maxRuleFile = 256 << 10

// ReadPage reads a page of the operator's with the rights of an account, since its
// directory may be the account's: nobody can make the front door show a file that it may not
// read itself.
func ReadPage(path string, as *account.Account) (rules.Page, error) {
	b, err := readSmall(path, as)
	if err != nil {
		return rules.Page{}, err
	}
	return NewPage(path, b)
}

// NewPage returns the page in a file. The type is that of its name.
func NewPage(path string, b []byte) (rules.Page, error) {
	if len(b) > maxRuleFile {
		return rules.Page{}, tooLarge(path)
	}
	kind := map[string]string{".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".json": "application/json", ".txt": "text/plain; charset=utf-8"}[strings.ToLower(filepath.Ext(path))]
	if kind == "" {
		return rules.Page{}, fmt.Errorf("%s: a page ends with .html, .txt or .json", path)
	}
	return rules.Page{Type: kind, Body: b}, nil
}

// readUsers reads an htpasswd file. It may be for the front door alone.
func readUsers(path string) (*rules.Users, error) {
	b, err := readSmall(path, nil)
	if err != nil {
		return nil, err
	}
	users, err := rules.ParseUsers(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return users, nil
}

// readSmall reads a regular file that is not large.
func readSmall(path string, as *account.Account) (b []byte, err error) {
	read := func() {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil { // a FIFO would wait for a writer
			return
		}
		defer f.Close()
		info, statErr := f.Stat()
		switch {
		case statErr != nil:
			err = statErr
			return
		case !info.Mode().IsRegular():
			err = errors.New(path + ": not a file")
			return
		}
		if b, err = io.ReadAll(io.LimitReader(f, maxRuleFile+1)); len(b) > maxRuleFile {
			err = tooLarge(path)
		}
	}
	if os.Geteuid() != 0 {
		as = nil // there are no rights to give up
	}
	if doErr := as.Do(read); doErr != nil {
		return nil, doErr
	}
	return b, err
}

func tooLarge(path string) error { return fmt.Errorf("%s: larger than %d KiB", path, maxRuleFile>>10) }

// RuleFiles returns the files that the site's rules were read from, in order.
func (s *Site) RuleFiles() (files []string) {
	for _, p := range s.ErrorPages {
		files = append(files, p.File)
	}
	for _, a := range s.Access {
		if a.UsersFile != "" {
			files = append(files, a.UsersFile)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// WithRuleFiles returns the site with the contents that RuleFiles have now.
func (s *Site) WithRuleFiles() (*Site, error) {
	c := *s
	c.ErrorPages, c.Access = maps.Clone(s.ErrorPages), slices.Clone(s.Access)
	for status, p := range c.ErrorPages {
		var err error
		if p.Page, err = ReadPage(p.File, s.Account); err != nil {
			return nil, err
		}
		c.ErrorPages[status] = p
	}
	for i := range c.Access {
		a := &c.Access[i]
		if a.UsersFile == "" {
			continue
		}
		var err error
		if a.Users, err = readUsers(a.UsersFile); err != nil {
			return nil, err
		}
	}
	return &c, nil
}
