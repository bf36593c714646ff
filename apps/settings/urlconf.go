package settings

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
)

// urlconf reads root_urlconf: a table, or the name of a file with that table. It replaces
// an inherited one as a whole.
func (l *loader) urlconf(name string, file *tomlfile.File, top *tomlfile.Table) {
	table := top
	switch {
	case !top.Has("root_urlconf"):
		return
	case top.IsTable("root_urlconf"):
		table = top.Table("root_urlconf")
	default:
		var other string
		if !top.String("root_urlconf", &other) {
			return
		}
		own := l.read(relative(name, file, other))
		if own == nil {
			return
		}
		table = own.Root()
	}
	l.urls = table
	l.settings.URLs = map[string]string{}
	for _, prefix := range table.Names() {
		var app string
		if table.String(prefix, &app) {
			l.settings.URLs[prefix] = app
		}
	}
}

// check reports what is wrong with the settings as a whole. leaf is the site's own file.
func (l *loader) check(leaf *tomlfile.Table) {
	s := l.settings
	for key, missing := range map[string]bool{
		"site_id":         s.SiteID == 0,
		"installed_apps":  len(s.InstalledApps) == 0,
		"database":        s.Database == "",
		"secret_key_file": s.SecretKeyFile == "",
		"allowed_hosts":   len(s.AllowedHosts) == 0,
		"root_urlconf":    len(s.URLs) == 0,
	} {
		if missing && !leaf.Has(key) {
			leaf.Problem(key, "is missing", "write it here or in a file that this one extends")
		} else if missing {
			leaf.Problem(key, "must not be empty", "")
		}
	}
	l.checkApps()
	l.checkURLs()
}

func (l *loader) checkApps() {
	if l.apps == nil {
		return
	}
	for i, app := range l.settings.InstalledApps {
		if !slices.Contains(l.opts.Apps, app) {
			l.apps.Problem("installed_apps", fmt.Sprintf("there is no app %q", app), suggestion(app, l.opts.Apps))
		}
		if slices.Contains(l.settings.InstalledApps[:i], app) {
			l.apps.Problem("installed_apps", fmt.Sprintf("names %q twice", app), "")
		}
	}
}

func (l *loader) checkURLs() {
	mounted := map[string]string{}
	for _, prefix := range slices.Sorted(maps.Keys(l.settings.URLs)) {
		app := l.settings.URLs[prefix]
		if !isPath(prefix) {
			l.urls.Problem(prefix, "is not a path", `a path begins and ends with a slash: "/admin/"`)
		}
		switch {
		case slices.Contains(l.settings.InstalledApps, app):
		case slices.Contains(l.opts.Apps, app):
			l.urls.Problem(prefix, fmt.Sprintf("the app %q is not installed", app), fmt.Sprintf("add %q to installed_apps", app))
		default:
			l.urls.Problem(prefix, fmt.Sprintf("there is no app %q", app), suggestion(app, l.settings.InstalledApps))
		}
		if other, twice := mounted[app]; twice {
			l.urls.Problem(prefix, fmt.Sprintf("the app %q has the path %q already", app, other), "")
		}
		mounted[app] = prefix
	}
}

// suggestion returns a hint for a word that is none of choices.
func suggestion(word string, choices []string) string {
	if near := tomlfile.Nearest(word, choices); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "there are: " + strings.Join(choices, ", ")
}

// isPath reports whether p is a URL path that is a valid pattern of http.ServeMux and has
// no special meaning there.
func isPath(p string) bool {
	return p == "/" || strings.HasSuffix(p, "/") && path.Clean(p)+"/" == p && strings.HasPrefix(p, "/") && !strings.ContainsAny(p, "{}?# ")
}
