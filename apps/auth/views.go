package auth

import (
	"embed"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/messages"
	"github.com/multisite/multisite/apps/page"
)

//go:embed templates/*
var templates embed.FS

// views are the handlers of the app. Both fields are set once, in routes.
type views struct {
	env  *app.Env
	view *page.View
}

func routes(env *app.Env) (http.Handler, error) {
	view, err := env.Pages.View(templates, nil, "templates/*.html")
	if err != nil {
		return nil, err
	}
	v := views{env: env, view: view}
	mux := http.NewServeMux()
	mux.Handle("GET /login", env.Pages.Handle(v.loginForm))
	mux.Handle("POST /login", env.Pages.Handle(v.login))
	mux.Handle("POST /logout", env.Pages.Handle(v.logout))
	mux.Handle("GET /password", env.Pages.Handle(v.passwordForm))
	mux.Handle("POST /password", env.Pages.Handle(v.password))
	return mux, nil
}

// loginPath returns the URL of the login page, which redirects back after the login.
func loginPath(env *app.Env, r *http.Request) string {
	target := env.Path("auth", "login")
	if r.Method == http.MethodGet {
		target += "?next=" + url.QueryEscape(app.RequestURL(r).String())
	}
	return target
}

// loginData is the data of login.html.
type loginData struct{ Username, Next, Error string }

func (v views) loginForm(w http.ResponseWriter, r *http.Request) error {
	next := app.LocalPath(r.FormValue("next"), "/")
	if _, ok := Current(r.Context()); ok {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return v.view.Render(w, r, http.StatusOK, "login.html", loginData{Next: next})
}

func (v views) login(w http.ResponseWriter, r *http.Request) error {
	ctx, address := r.Context(), app.ClientAddr(r)
	data := loginData{Username: r.PostFormValue("username"), Next: app.LocalPath(r.PostFormValue("next"), "/")}
	wait, err := attempt(ctx, v.env.DB, data.Username, address)
	if err != nil {
		return err
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
		data.Error = "Too many failed logins. Try again in a few minutes."
		return v.view.Render(w, r, http.StatusTooManyRequests, "login.html", data)
	}
	user, err := ByName(ctx, v.env.DB, data.Username)
	if errors.Is(err, ErrNoUser) {
		user.hash, err = unknownUserHash, nil
	}
	if err != nil {
		return err
	}
	if !matches(user.hash, r.PostFormValue("password")) || !user.Active {
		data.Error = "User name and password do not match."
		return v.view.Render(w, r, http.StatusUnprocessableEntity, "login.html", data)
	}
	if err := loginSucceeded(ctx, v.env.DB, user, address); err != nil {
		return err
	}
	if err := LogIn(ctx, v.env, user); err != nil {
		return err
	}
	http.Redirect(w, r, data.Next, http.StatusSeeOther)
	return nil
}

func (v views) logout(w http.ResponseWriter, r *http.Request) error {
	if err := LogOut(r.Context()); err != nil {
		return err
	}
	messages.Success(r.Context(), "You are logged out.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// passwordData is the data of password.html: an error for each field.
type passwordData struct{ Old, New, Again string }

func (v views) passwordForm(w http.ResponseWriter, r *http.Request) error {
	if _, ok := Current(r.Context()); !ok {
		http.Redirect(w, r, loginPath(v.env, r), http.StatusSeeOther)
		return nil
	}
	return v.view.Render(w, r, http.StatusOK, "password.html", passwordData{})
}

func (v views) password(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	user, ok := Current(ctx)
	if !ok {
		http.Redirect(w, r, loginPath(v.env, r), http.StatusSeeOther)
		return nil
	}
	wrong, err := v.checkPassword(r, user)
	if err != nil {
		return err
	}
	if wrong != (passwordData{}) {
		return v.view.Render(w, r, http.StatusUnprocessableEntity, "password.html", wrong)
	}
	user, err = SetPassword(ctx, v.env.DB, user, r.PostFormValue("new"))
	if err != nil {
		return err
	}
	if err := LogIn(ctx, v.env, user); err != nil {
		return err
	}
	messages.Success(ctx, "Your password is changed. Everywhere else you are logged out.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// checkPassword returns the errors of the form.
func (v views) checkPassword(r *http.Request, user User) (wrong passwordData, err error) {
	if r.PostFormValue("new") != r.PostFormValue("again") {
		wrong.Again = "The two are not the same."
	}
	if err := CheckPassword(user.Name, r.PostFormValue("new")); err != nil {
		wrong.New = page.Sentence(err)
	}
	wait, err := attempt(r.Context(), v.env.DB, user.Name, app.ClientAddr(r))
	if err != nil {
		return wrong, err
	}
	switch {
	case wait > 0:
		wrong.Old = "Too many failed attempts. Try again in a few minutes."
	case !matches(user.hash, r.PostFormValue("old")):
		wrong.Old = "This is not your password."
	default:
		err = loginSucceeded(r.Context(), v.env.DB, user, app.ClientAddr(r))
	}
	return wrong, err
}
