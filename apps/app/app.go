// Package app is the contract between a site and its apps. It does not know any app:
// apps import it, and package apps joins them.
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

// App is one app of a site. Every field except Name may be left out.
type App struct {
	Name       string        // in installed_apps and root_urlconf
	Label      string        // in the navigation; "" if the navigation does not show the app
	Staff      bool          // whether the navigation shows it to staff only
	Needs      []string      // names of apps that must be installed as well
	Paths      []string      // names of apps that must have a path in root_urlconf if this one has
	Migrations fs.FS         // *.sql files, each applied once, in order of name
	Models     []model.Model // the models that the admin shows
	Transient  bool          // whether dumpdata leaves its tables out

	// Routes serves the app's pages below the path it has in root_urlconf;
	// that path is stripped from the request.
	Routes func(*Env) (http.Handler, error)

	// Wrap returns a handler for every request of the site, whichever app answers it.
	Wrap func(*Env, http.Handler) http.Handler
}

// Env is what a site gives to its apps. It does not change once the site serves.
type Env struct {
	SiteID    int64
	DB        *db.DB
	Log       *slog.Logger
	Pages     *page.Pages
	Key       Key               // shared by all sites of the database
	Zone      *time.Location    // of the dates that pages show
	Installed []App             // in the order of the list in package apps
	Paths     map[string]string // name of an app to its URL path, such as "/admin/"
	Domain    string            // of the site until an administrator changes it
}

// Path returns the URL path of a page of an app; below is relative to the app's path. It
// returns "" if the app has no path on this site.
func (e *Env) Path(app, below string) string {
	prefix, ok := e.Paths[app]
	if !ok {
		return ""
	}
	return prefix + below
}
