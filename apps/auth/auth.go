// Package auth knows who the visitor is: users, their passwords, login and
// logout. The users are the same on every site of the database.
//
// Staff may use the admin; superusers may also change users and sites there.
// There is no user and no password until someone makes one.
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

// sessionKey is where a session says whose it is.
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

// Current returns the user of a request, if somebody is logged in.
func Current(ctx context.Context) (User, bool) {
	user, ok := ctx.Value(userKey{}).(User)
	return user, ok
}

// LogIn makes user the one whose session this is.
func LogIn(ctx context.Context, env *app.Env, user User) error {
	session := sessions.From(ctx)
	if err := session.Renew(); err != nil {
		return err
	}
	session.Put(sessionKey, strconv.FormatInt(user.ID, 10)+" "+proof(env, user))
	return nil
}

// LogOut forgets the user of this session and everything else in it.
func LogOut(ctx context.Context) error { return sessions.From(ctx).Destroy() }

// StaffOnly sends strangers to the login page and refuses everybody else who
// is not staff.
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

// fromSession reads the user with every request, so that a user who was
// deactivated, or whose password was changed, is out at once.
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

// proof ties a session to the password that it was opened with.
func proof(env *app.Env, user User) string { return env.Key.Sum("auth", user.hash) }
