package apps

import (
	"net/http"
	"strings"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/messages"
	"github.com/multisite/multisite/apps/page"
)

// chrome returns what the layout shows around every page: the name of the site, its apps,
// the user, and messages that the visitor has not seen yet.
func chrome(env *app.Env) func(*http.Request) page.Chrome {
	return func(r *http.Request) page.Chrome {
		site := app.CurrentSite(r.Context())
		if site.ID == 0 { // the request was refused before its site was read
			return page.Chrome{SiteName: env.Domain, Home: "/"}
		}
		c := page.Chrome{
			SiteName: site.Name, Home: "/",
			Messages: messages.Pop(r.Context()),
			Login:    env.Path("auth", "login"),
			Logout:   env.Path("auth", "logout"),
			Account:  env.Path("auth", "password"),
		}
		user, known := auth.Current(r.Context())
		c.User = user.Name
		var staff []page.Link
		for _, a := range env.Installed {
			path := env.Path(a.Name, "")
			if path == "" || a.Label == "" || (a.Staff && !(known && user.Staff)) {
				continue
			}
			link := page.Link{Label: a.Label, Path: path, Current: within(r, path)}
			if a.Staff {
				staff = append(staff, link)
				continue
			}
			c.Links = append(c.Links, link)
		}
		c.Links = append(c.Links, staff...)
		return c
	}
}

// within reports whether the request is for a page below path. "/" is above every page,
// so it matches only itself.
func within(r *http.Request, path string) bool {
	asked := app.RequestURL(r).Path
	if path == "/" {
		return asked == "/"
	}
	return strings.HasPrefix(asked, path)
}
