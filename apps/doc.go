// Package apps builds a Go site from small apps. Each app has a folder of its own, a
// settings file joins them, and all sites and all their workers share one SQLite database.
// The terms are those of Django, and the pages of an app are an http.Handler.
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
// Now "notes" may be in installed_apps and root_urlconf. Its tables are made when the site
// starts, and the admin of every site shows its notes. The name of a table begins with
// the name of its app; a table that the admin shows has the columns id and version (see
// package model). The blog is a complete example.
//
// Imports go one way: apps > the folders of apps > app > page, model, db.
package apps
