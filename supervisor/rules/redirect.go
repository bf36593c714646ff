package rules

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Redirect leads from one path, or all below one, to another URL.
type Redirect struct {
	From   string // below the mount, decoded; "/blog/*": all paths that begin with "/blog/"
	To     string // a path below the mount or a URL; {rest} is what the star stands for
	Status int
}

const rest = "{rest}"

// NewRedirect checks a redirect.
func NewRedirect(from, to string, status int) (Redirect, error) {
	r := Redirect{To: to, Status: status}
	var err error
	if r.From, err = url.PathUnescape(from); err != nil || !strings.HasPrefix(r.From, "/") || strings.ContainsAny(from, "?#") {
		return r, errors.New(`it must be a path such as "/old" or "/blog/*"`)
	}
	plain := strings.TrimSuffix(r.From, "*")
	if strings.Contains(plain, "*") || r.isWild() && !strings.HasSuffix(plain, "/") {
		return r, errors.New(`the star stands for the rest of a path: "/blog/*"`)
	}
	if clean := path.Clean(plain); clean != plain && clean+"/" != plain {
		return r, fmt.Errorf("no request gets here: the path is %q", clean)
	}
	if !slices.Contains([]int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}, status) {
		return r, fmt.Errorf("status %d is no redirect: 301, 302, 303, 307 or 308", status)
	}
	return r, r.checkTarget()
}

// checkTarget makes sure that no visitor can choose the host.
func (r *Redirect) checkTarget() error {
	u, err := url.Parse(strings.ReplaceAll(r.To, rest, "rest"))
	before, _, variable := strings.Cut(r.To, rest)
	switch {
	case err != nil || escape(strings.ReplaceAll(r.To, rest, "")) != strings.ReplaceAll(r.To, rest, ""):
		return fmt.Errorf("%q is not a path or a URL", r.To)
	case variable && !r.isWild():
		return errors.New(`{rest} needs a star: "/blog/*"`)
	case strings.Contains(before, "#"):
		return errors.New("{rest} cannot stand behind #")
	case strings.HasPrefix(r.To, "/") && !strings.HasPrefix(r.To, "//"):
		return nil
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return fmt.Errorf("%q is not a path or an http or https URL", r.To)
	}
	if _, after, _ := strings.Cut(before, "://"); variable && !strings.ContainsAny(after, "/?") {
		return errors.New("{rest} must stand behind the slash that ends the host, or visitors choose the host")
	}
	return nil
}

func (r *Redirect) isWild() bool { return strings.HasSuffix(r.From, "*") }

// matches reports whether the redirect is for a path.
func (r *Redirect) matches(path string) bool {
	if r.isWild() {
		return strings.HasPrefix(path, r.From[:len(r.From)-1])
	}
	return path == r.From
}

// SortRedirects puts redirects into the order in which they are tried: the longest first,
// and one for a single path before those for all below it.
func SortRedirects(all []Redirect) {
	slices.SortFunc(all, func(a, b Redirect) int {
		plainA, plainB := strings.TrimSuffix(a.From, "*"), strings.TrimSuffix(b.From, "*")
		return cmp.Or(len(plainB)-len(plainA), len(a.From)-len(b.From), strings.Compare(a.From, b.From))
	})
}

// find returns the redirect for a path; nil: none is.
func find(all []Redirect, path string) *Redirect {
	for i := range all {
		if all[i].matches(path) {
			return &all[i]
		}
	}
	return nil
}

// redirect returns the redirect of a request, with its query; nil: there is none.
func (r *Rules) redirect(q *Request) *Answer {
	if len(r.Redirects) == 0 {
		return nil
	}
	below := r.below(q.Path)
	to := find(r.Redirects, below)
	if to == nil {
		return nil
	}
	raw, query, _ := strings.Cut(q.URI, "?")
	left := ""
	if to.isWild() {
		left = afterDecoded(raw, len(q.Path)-len(below)+len(to.From)-1)
	}
	return moved(to.Status, "redirects", to.target(r.Mount, left, query))
}

// afterDecoded returns what follows the part of a path that is n bytes long when it is
// decoded.
func afterDecoded(raw string, n int) string {
	i := 0
	for ; n > 0 && i < len(raw); n-- {
		if raw[i] == '%' {
			i += 2
		}
		i++
	}
	return raw[min(i, len(raw)):]
}

// target returns where a redirect leads. left and query are as the client has sent them.
func (r *Redirect) target(mount, left, query string) string {
	to, fragment, hasFragment := strings.Cut(r.To, "#")
	left = escape(left)
	file, own, hasQuery := strings.Cut(to, "?")
	file = strings.ReplaceAll(file, rest, left)
	if strings.HasPrefix(file, "/") { // never "//host", whatever {rest} begins with
		file = mount + "/" + strings.TrimLeft(file, "/")
	}
	own = strings.ReplaceAll(own, rest, url.QueryEscape(left))
	if query = escape(query); hasQuery && query != "" {
		query = own + "&" + query
	} else if hasQuery {
		query = own
	}
	if query != "" {
		file += "?" + query
	}
	if hasFragment {
		file += "#" + fragment
	}
	return file
}

// Loop returns the redirect from which others lead back to where they came from; nil: there
// is none. isOwn reports whether a host leads to the same site.
func Loop(all []Redirect, isOwn func(host string) bool) *Redirect {
	for i := range all {
		for _, left := range []string{"", "x", "x/y"} {
			at := strings.TrimSuffix(all[i].From, "*")
			if all[i].isWild() {
				at += left
			} else if left != "" {
				continue
			}
			for hops := 0; at != ""; hops++ {
				to := find(all, at)
				if to == nil {
					break
				}
				if hops > len(all) {
					return &all[i]
				}
				left := ""
				if to.isWild() {
					left = at[len(to.From)-1:]
				}
				at = pathOn(to.target("", left, ""), isOwn)
			}
		}
	}
	return nil
}

// pathOn returns the path of a URL on the same site; "": it is on another.
func pathOn(location string, isOwn func(string) bool) string {
	u, err := url.Parse(location)
	if err != nil || u.Host != "" && !isOwn(u.Hostname()) {
		return ""
	}
	if u.Path == "" {
		return "/"
	}
	return u.Path
}
