// Package admin is one interface over the models of every installed app, for
// staff, on whichever site they happen to be.
//
// It knows models only by their description. Every change is one transaction
// that also writes who changed what into the log, and happens only if the
// row is still the one the editor saw: otherwise the editor is shown both.
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

type views struct {
	env  *app.Env
	view *page.View
}

// target is what a request is about: one model of one app.
type target struct {
	App   string
	Model model.Model
	Base  string // the path of its list
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

// noStore keeps what only staff may see out of every cache, the back button's
// included.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// target finds the model of a request. One that this user may not see does
// not exist.
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
