package blog

import (
	"embed"
	"html/template"
	"net/http"
	"strconv"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/page"
)

//go:embed templates/*
var templates embed.FS

const perPage = 10 // posts

// views are the handlers of the app. Both fields are set once, in routes.
type views struct {
	env  *app.Env
	view *page.View
}

func routes(env *app.Env) (http.Handler, error) {
	own := template.FuncMap{"path": func(below string) string { return env.Path("blog", below) }}
	view, err := env.Pages.View(templates, own, "templates/*.html")
	if err != nil {
		return nil, err
	}
	v := views{env: env, view: view}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", env.Pages.Handle(v.list))
	mux.Handle("GET /feed.xml", env.Pages.Handle(v.feed))
	mux.Handle("GET /{slug}", env.Pages.Handle(v.detail))
	return mux, nil
}

func (v views) list(w http.ResponseWriter, r *http.Request) error {
	number, err := pageNumber(r)
	if err != nil {
		return err
	}
	// One post more than fits shows that there is a next page.
	posts, err := latest(r.Context(), v.env.DB, v.env.SiteID, perPage+1, (number-1)*perPage)
	if err != nil {
		return err
	}
	if len(posts) == 0 && number > 1 {
		return page.ErrNotFound
	}
	data := struct {
		Posts        []Post
		Newer, Older int
		Write        string
	}{Posts: posts, Newer: number - 1, Write: v.env.Path("admin", "blog/post/add")}
	if len(posts) > perPage {
		data.Posts, data.Older = posts[:perPage], number+1
	}
	return v.view.Render(w, r, http.StatusOK, "list.html", data)
}

func (v views) detail(w http.ResponseWriter, r *http.Request) error {
	post, err := bySlug(r.Context(), v.env.DB, v.env.SiteID, r.PathValue("slug"))
	if err != nil {
		return err
	}
	return v.view.Render(w, r, http.StatusOK, "detail.html", post)
}

// pageNumber returns the number of the page that the URL asks for; the first is 1.
func pageNumber(r *http.Request) (int, error) {
	asked := r.URL.Query().Get("page")
	if asked == "" {
		return 1, nil
	}
	number, err := strconv.Atoi(asked)
	if err != nil || number < 1 || number > 1_000_000 {
		return 0, page.ErrNotFound
	}
	return number, nil
}
