// Package app is the contract between a site and the apps it is made of. It
// knows no app by name: apps import it, and package apps joins them.
package app

import (
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

// App is one part a site is made of. Every field but Name may be left out.
type App struct {
	Name       string        // the word in installed_apps and root_urlconf
	Label      string        // its name in the navigation; empty is not shown there
	Staff      bool          // the navigation shows it to staff only
	Needs      []string      // apps that must be installed too
	Paths      []string      // apps that must have a path in root_urlconf when this one has
	Migrations fs.FS         // *.sql files, applied once each in order of name
	Models     []model.Model // what the admin shows
	Transient  bool          // its rows are not worth dumping

	// Routes serves the app's pages below the path it has in root_urlconf;
	// that path is stripped from the request.
	Routes func(*Env) (http.Handler, error)

	// Wrap sees every request of the site, whichever app answers it.
	Wrap func(*Env, http.Handler) http.Handler
}

// Env is what a site gives to its apps. It does not change while they run.
type Env struct {
	SiteID    int64
	DB        *db.DB
	Log       *slog.Logger
	Pages     *page.Pages
	Key       Key
	Zone      *time.Location
	Installed []App             // in the order of the list in package apps
	Paths     map[string]string // app name to its path, as "/admin/"
	Domain    string            // what the site is called until an administrator says otherwise
}

// Path returns the URL path of something that an app serves, or "" when the
// site gives that app no path.
func (e *Env) Path(app, below string) string {
	prefix, ok := e.Paths[app]
	if !ok {
		return ""
	}
	return prefix + below
}
