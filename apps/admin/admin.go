// Package admin lets staff view and edit the models of every installed app, on any site.
//
// It knows models only by their description. Every change is one transaction that
// also logs who changed what. A change is only made if the row is still the one that
// the editor saw; otherwise the editor is shown both versions.
package admin

import (
	"embed"
	"net/http"
	"strconv"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

//go:embed migrations
var migrations embed.FS

//go:embed templates/*
var templates embed.FS

// App describes the app to a site.
func App() app.App {
	return app.App{
		Name:       "admin",
		Label:      "Admin",
		Staff:      true,
		Needs:      []string{"sites", "auth", "messages"},
		Paths:      []string{"auth"},
		Migrations: migrations,
		Models:     []model.Model{logModel},
		Routes:     routes,
	}
}

// views are the handlers of the admin. Both fields are set once, in routes.
type views struct {
	env  *app.Env
	view *page.View
}

// target is the model that a request is for.
type target struct {
	App   string // name of the app
	Model model.Model
	Base  string // URL path of the model's list, with a final slash
}

func routes(env *app.Env) (http.Handler, error) {
	v := views{env: env}
	var err error
	if v.view, err = env.Pages.View(templates, v.funcs(), "templates/*.html"); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", env.Pages.Handle(v.index))
	about := func(pattern string, do func(http.ResponseWriter, *http.Request, target) error) {
		mux.Handle(pattern, env.Pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
			t, err := v.target(r)
			if err != nil {
				return err
			}
			return do(w, r, t)
		}))
	}
	about("GET /{app}/{model}/{$}", v.list)
	about("GET /{app}/{model}/add", v.addForm)
	about("POST /{app}/{model}/add", v.add)
	about("GET /{app}/{model}/{id}/{$}", v.changeForm)
	about("POST /{app}/{model}/{id}/{$}", v.change)
	about("GET /{app}/{model}/{id}/delete", v.deleteForm)
	about("POST /{app}/{model}/{id}/delete", v.delete)
	about("GET /{app}/{model}/{id}/history", v.history)
	return auth.StaffOnly(env, noStore(mux)), nil
}

// noStore keeps pages for staff out of every cache, even that of the back button.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// target returns the model that a request is for. It returns page.ErrNotFound for a
// model that this user may not see.
func (v views) target(r *http.Request) (target, error) {
	for _, t := range v.targets(r) {
		if t.App == r.PathValue("app") && t.Model.Name == r.PathValue("model") {
			return t, nil
		}
	}
	return target{}, page.ErrNotFound
}

// targets returns every model that this user may see.
func (v views) targets(r *http.Request) []target {
	user, _ := auth.Current(r.Context())
	var all []target
	for _, a := range v.env.Installed {
		for _, m := range a.Models {
			if m.Superuser && !user.Superuser {
				continue
			}
			all = append(all, target{App: a.Name, Model: m, Base: v.env.Path("admin", a.Name+"/"+m.Name+"/")})
		}
	}
	return all
}

// Path returns the path of a page about one row.
func (t target) Path(id int64, below string) string {
	return t.Base + strconv.FormatInt(id, 10) + "/" + below
}

func objectID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, page.ErrNotFound
	}
	return id, nil
}
