// Package auth has the users, their passwords, login and logout. All sites of a database
// have the same users.
//
// Staff may use the admin; superusers may also change users and sites there. A new
// database has no user: "manage SITE createsuperuser" adds the first one.
package auth

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/page"
	"github.com/multisite/multisite/apps/sessions"
)

//go:embed migrations
var migrations embed.FS

// sessionKey is the key of the session's user: "ID PROOF".
const sessionKey = "user"

// App describes the app to a site.
func App() app.App {
	return app.App{
		Name:       "auth",
		Needs:      []string{"sessions", "messages"},
		Migrations: migrations,
		Models:     models(),
		Routes:     routes,
		Wrap:       wrap,
	}
}

type userKey struct{}

// Current returns the user who is logged in, if there is one.
func Current(ctx context.Context) (User, bool) {
	user, ok := ctx.Value(userKey{}).(User)
	return user, ok
}

// LogIn makes the session of a request that of user.
func LogIn(ctx context.Context, env *app.Env, user User) error {
	session := sessions.From(ctx)
	if err := session.Renew(); err != nil {
		return err
	}
	session.Put(sessionKey, strconv.FormatInt(user.ID, 10)+" "+proof(env, user))
	return nil
}

// LogOut deletes the session of a request.
func LogOut(ctx context.Context) error { return sessions.From(ctx).Destroy() }

// StaffOnly redirects visitors who are not logged in to the login page, and refuses
// users who are not staff.
func StaffOnly(env *app.Env, next http.Handler) http.Handler {
	return env.Pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
		user, ok := Current(r.Context())
		switch {
		case !ok:
			http.Redirect(w, r, loginPath(env, r), http.StatusSeeOther)
		case !user.Staff:
			return page.Problem{Status: http.StatusForbidden, Text: "Your account may not use this part of the site."}
		default:
			next.ServeHTTP(w, r)
		}
		return nil
	})
}

func wrap(env *app.Env, next http.Handler) http.Handler {
	return env.Pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
		user, err := fromSession(r.Context(), env)
		switch {
		case err == nil:
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
		case !errors.Is(err, ErrNoUser):
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// fromSession returns the user of the session, or ErrNoUser. It reads the user from the
// database each time: one who was deactivated, or whose password was changed, is logged
// out at once.
func fromSession(ctx context.Context, env *app.Env) (User, error) {
	id, given, ok := strings.Cut(sessions.From(ctx).Get(sessionKey), " ")
	if !ok {
		return User{}, ErrNoUser
	}
	user, err := find(ctx, env.DB, "id = ?", id)
	if err != nil {
		return User{}, err
	}
	if !user.Active || !sameString(given, proof(env, user)) {
		return User{}, ErrNoUser
	}
	return user, nil
}

// proof returns what a session must have so that it ends with a change of the password.
func proof(env *app.Env, user User) string { return env.Key.Sum("auth", user.hash) }
