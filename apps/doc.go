// Package apps is what a Go site is made of: small apps in folders of their
// own, joined by a settings file, on one SQLite database that all sites and
// all their worker processes share. Who knows Django knows the words; who
// knows net/http knows the rest, for an app's pages are an http.Handler.
//
// To add an app, make a folder with one function and list it in installed.go:
//
//	package notes // apps/notes/notes.go
//
//	//go:embed migrations/*
//	var migrations embed.FS // 0001_init.sql: CREATE TABLE notes_note (…)
//
//	//go:embed templates/*
//	var templates embed.FS // list.html: {{define "title"}}…{{define "main"}}…
//
//	func App() app.App {
//		return app.App{Name: "notes", Label: "Notes", Migrations: migrations, Routes: routes,
//			Models: []model.Model{{
//				Name: "note", Label: "note", Plural: "notes", Table: "notes_note", Title: "text", Order: "id DESC",
//				Fields: []model.Field{{Name: "text", Label: "Text", Required: true}},
//				List:   []string{"text"}, Search: []string{"text"},
//			}}}
//	}
//
//	func routes(env *app.Env) (http.Handler, error) {
//		view, err := env.Pages.View(templates, nil, "templates/*.html")
//		mux := http.NewServeMux() // "/" is the path the app has in root_urlconf
//		mux.Handle("GET /{$}", env.Pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
//			notes, err := latest(r.Context(), env.DB) // an error is a 500, page.ErrNotFound a 404
//			if err != nil {
//				return err
//			}
//			return view.Render(w, r, http.StatusOK, "list.html", notes)
//		}))
//		return mux, err
//	}
//
// Then "notes" may stand in installed_apps and root_urlconf, its tables are
// made when the site starts, and the admin of every site has its notes.
// Tables are named after their app, and those the admin shows have the
// columns id and version (package model). The blog is a whole example.
//
// Imports go one way: apps > the folders of apps > app > page, model, db.
package apps
