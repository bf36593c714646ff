package polls

import (
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strconv"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/messages"
	"github.com/multisite/multisite/apps/page"
	"github.com/multisite/multisite/apps/sessions"
)

//go:embed templates/*
var templates embed.FS

// views are the handlers of the app. Both fields are set once, in routes.
type views struct {
	env  *app.Env
	view *page.View
}

func routes(env *app.Env) (http.Handler, error) {
	own := template.FuncMap{"path": func(below string) string { return env.Path("polls", below) }}
	view, err := env.Pages.View(templates, own, "templates/*.html")
	if err != nil {
		return nil, err
	}
	v := views{env: env, view: view}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", env.Pages.Handle(v.list))
	mux.Handle("GET /{slug}", env.Pages.Handle(v.detail))
	mux.Handle("POST /{slug}", env.Pages.Handle(v.vote))
	return mux, nil
}

func (v views) list(w http.ResponseWriter, r *http.Request) error {
	polls, err := list(r.Context(), v.env.DB, v.env.SiteID)
	if err != nil {
		return err
	}
	return v.view.Render(w, r, http.StatusOK, "list.html", struct {
		Polls []Poll
		Add   string
	}{polls, v.env.Path("admin", "polls/poll/add")})
}

// detailData is the data of detail.html.
type detailData struct {
	Poll
	Error string
}

func (v views) detail(w http.ResponseWriter, r *http.Request) error {
	poll, err := bySlug(r.Context(), v.env.DB, v.env.SiteID, r.PathValue("slug"), v.voter(r))
	if err != nil {
		return err
	}
	return v.view.Render(w, r, http.StatusOK, "detail.html", detailData{Poll: poll})
}

func (v views) vote(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	poll, err := bySlug(ctx, v.env.DB, v.env.SiteID, r.PathValue("slug"), v.voter(r))
	if err != nil {
		return err
	}
	if !poll.Open() {
		messages.Error(ctx, "This poll has closed.")
		http.Redirect(w, r, v.env.Path("polls", poll.Slug), http.StatusSeeOther)
		return nil
	}
	if _, ok := auth.Current(ctx); !ok && sessions.From(ctx).Get(sessionKey) == "" {
		sessions.From(ctx).Put(sessionKey, rand.Text())
	}
	err = cast(ctx, v.env.DB, v.env.SiteID, poll.ID, r.PostFormValue("choice"), v.voter(r))
	if errors.Is(err, errNoChoice) {
		return v.view.Render(w, r, http.StatusUnprocessableEntity, "detail.html", detailData{poll, "Choose one of the answers."})
	}
	if err != nil {
		return err
	}
	messages.Success(ctx, "Your vote is counted.")
	http.Redirect(w, r, v.env.Path("polls", poll.Slug), http.StatusSeeOther)
	return nil
}

// sessionKey is the key of the random value by which a session's voter is known again.
const sessionKey = "voter"

// voter returns a pseudonym of the visitor, or "" for one who has not voted.
func (v views) voter(r *http.Request) string {
	if user, ok := auth.Current(r.Context()); ok {
		return v.env.Key.Sum("voter", "user", strconv.FormatInt(user.ID, 10))
	}
	if own := sessions.From(r.Context()).Get(sessionKey); own != "" {
		return v.env.Key.Sum("voter", "session", own)
	}
	return ""
}
