package config

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/rules"
)

// Area is who may see what lies below a path.
type Area struct {
	rules.Area
	UsersFile string // absolute; "": nobody is asked for a password
}

// ErrorPage is a page in place of the front door's own.
type ErrorPage struct {
	rules.Page
	File string // absolute
}

// readRedirects reads redirects = { "/old" = "/new", "/blog/*" = { to = "…", status = 301 } }.
func (d *siteDraft) readRedirects() {
	if !d.table.Has("redirects") {
		return
	}
	d.Redirects = nil
	t := d.table.Table("redirects")
	for _, from := range t.Names() {
		to, status := "", http.StatusPermanentRedirect
		if t.IsTable(from) {
			long := t.Table(from)
			long.String("to", &to)
			long.Int("status", &status, 0)
		} else if !t.String(from, &to) {
			continue
		}
		r, err := rules.NewRedirect(from, to, status)
		switch {
		case err != nil:
			t.Problem(from, err.Error(), `write "/old" = "/new", or { to = "/new", status = 301 }`)
			continue
		case slices.ContainsFunc(d.Redirects, func(other rules.Redirect) bool { return other.From == r.From }):
			t.Problem(from, "this path is listed twice", "")
		}
		d.Redirects = append(d.Redirects, r)
	}
	rules.SortRedirects(d.Redirects)
}

func (d *siteDraft) readMethods() {
	items, ok := d.table.Items("methods")
	if !ok {
		return
	}
	d.Methods = nil
	for _, item := range items {
		if !httpguts.ValidHeaderFieldName(item.Value) || item.Value != strings.ToUpper(item.Value) {
			d.table.ProblemAt(item.Position, "methods", fmt.Sprintf("%q is not a method", item.Value), `write one such as "GET"`)
			continue
		}
		d.Methods = append(d.Methods, item.Value)
	}
	if slices.Contains(d.Methods, http.MethodGet) && !slices.Contains(d.Methods, http.MethodHead) {
		d.Methods = append(d.Methods, http.MethodHead)
	}
}

// readHeaders reads headers = { set = { NAME = "value" }, remove = ["NAME"] }.
func (d *siteDraft) readHeaders() {
	if !d.table.Has("headers") {
		return
	}
	t := d.table.Table("headers")
	d.Headers = rules.Headers{}
	set := t.Table("set")
	for _, name := range set.Names() {
		var value string
		if !set.String(name, &value) {
			continue
		}
		canonical, err := rules.CheckHeader(name, value)
		if err != nil {
			set.Problem(name, err.Error(), "")
			continue
		}
		d.Headers.Set = append(d.Headers.Set, [2]string{canonical, value})
	}
	items, _ := t.Items("remove")
	for _, item := range items {
		canonical, err := rules.CheckHeader(item.Value, "")
		if err != nil {
			t.ProblemAt(item.Position, "remove", err.Error(), "")
			continue
		}
		d.Headers.Remove = append(d.Headers.Remove, canonical)
	}
	slices.Sort(d.Headers.Remove)
}

const rateHint = `write "20/s", "100/m", "1000/h", or { rate = "20/s", burst = 40 }`

func (d *siteDraft) readRateLimit() {
	t := d.table
	if !t.Has("rate_limit") {
		return
	}
	text, burst, named := "", 0, t.IsTable("rate_limit")
	if named {
		long := t.Table("rate_limit")
		long.String("rate", &text)
		long.Int("burst", &burst, 1)
	} else if !t.String("rate_limit", &text) {
		return
	}
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if err != nil || n < 1 || n > 1_000_000 || per == 0 || burst > 1_000_000 {
		t.Problem("rate_limit", fmt.Sprintf("%q is not a rate", text), rateHint)
		return
	}
	d.RateLimit = rules.Rate{Count: n, Per: per, Burst: cmp.Or(burst, n)}
}

// readAccess reads access = { "/admin" = { allow, deny, users, realm } }.
func (d *siteDraft) readAccess() {
	if !d.table.Has("access") {
		return
	}
	d.Access = nil
	t := d.table.Table("access")
	for _, name := range t.Names() {
		path, ok := urlPrefix(name)
		switch {
		case !ok:
			t.Problem(name, "not a URL prefix", `write one such as "/admin"; "/" is the whole site`)
			continue
		case slices.ContainsFunc(d.Access, func(a Area) bool { return a.Path == path }):
			t.Problem(name, "this URL prefix is listed twice", "")
		}
		in := t.Table(name)
		a := Area{Area: rules.Area{Path: path, Allow: networks(in, "allow"), Deny: networks(in, "deny")}}
		in.Path("users", &a.UsersFile)
		if in.String("realm", &a.Realm) && strings.Trim(a.Realm, plainCharacters) != "" {
			in.Problem("realm", "has characters that a header cannot have", "write letters, digits, spaces and .,:-_")
		}
		if len(a.Allow)+len(a.Deny) == 0 && a.UsersFile == "" {
			t.Problem(name, "says nothing", "write allow, deny or users")
		}
		if a.UsersFile != "" {
			d.readUsers(in, &a)
		}
		d.Access = append(d.Access, a)
	}
}

const plainCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:-_"

// networks reads a list of addresses and networks.
func networks(t *tomlfile.Table, name string) (list []netip.Prefix) {
	items, _ := t.Items(name)
	for _, item := range items {
		prefix, err := parsePrefix(item.Value)
		if err != nil {
			t.ProblemAt(item.Position, name, fmt.Sprintf("%q is not an IP address or network", item.Value), `write one such as "10.0.0.1" or "10.0.0.0/8"`)
		}
		list = append(list, prefix)
	}
	return list
}

// ParseNetwork parses a network, or an address as a network of one.
func ParseNetwork(s string) (netip.Prefix, error) { return parsePrefix(s) }

func (d *siteDraft) readUsers(t *tomlfile.Table, a *Area) {
	var err error
	if a.Users, err = readUsers(a.UsersFile); err != nil {
		t.Problem("users", err.Error(), "make it with htpasswd -B")
	}
}

// pageStatuses are those that the front door answers with.
var pageStatuses = []int{400, 401, 403, 404, 405, 408, 413, 429, 500, 502, 503, 504}

// readErrorPages reads error_pages = { "503" = "file" }. The files are read when it is known
// with whose rights.
func (d *siteDraft) readErrorPages() {
	if !d.table.Has("error_pages") {
		return
	}
	d.ErrorPages = map[int]ErrorPage{}
	t := d.table.Table("error_pages")
	d.pagesAt = t
	for _, name := range t.Names() {
		var file string
		status, _ := strconv.Atoi(name)
		if !slices.Contains(pageStatuses, status) {
			t.Problem(name, "not a status that the front door answers with", "these are "+strings.Trim(fmt.Sprint(pageStatuses), "[]"))
			continue
		}
		if t.Path(name, &file) {
			d.ErrorPages[status] = ErrorPage{File: file}
		}
	}
}

// finishRules checks what concerns several keys, and reads the error pages.
func (d *siteDraft) finishRules() {
	pages := d.ErrorPages // maybe those of [defaults], which other sites have, too
	if pages != nil {
		d.ErrorPages = map[int]ErrorPage{}
	}
	for status, p := range pages {
		read, err := ReadPage(p.File, d.Account)
		if err != nil {
			d.pagesAt.Problem(strconv.Itoa(status), err.Error(), "")
		}
		d.ErrorPages[status] = ErrorPage{read, p.File}
	}
	d.Access = slices.Clone(d.Access)
	for i := range d.Access {
		d.Access[i].Realm = cmp.Or(d.Access[i].Realm, d.Name)
	}
	if d.CanonicalHost && (d.ServerName == "" || strings.HasPrefix(d.ServerName, "*")) {
		d.table.Problem("canonical_host", "needs a server_name without a star", "")
	}
	own := func(host string) bool { return host == d.ServerName || slices.Contains(d.Aliases, host) }
	if r := rules.Loop(d.Redirects, own); r != nil {
		t := d.table
		if t.IsTable("redirects") && t.Table("redirects").Has(r.From) {
			t.Table("redirects").Problem(r.From, "leads back to itself", "")
			return
		}
		t.Problem("redirects", fmt.Sprintf("%q leads back to itself", r.From), "")
	}
}
