// Package sessions keeps values of a visitor between requests, in the shared database, with
// alexedwards/scs.
//
// A visitor for whom nothing is stored has no row and no cookie. The cookie is HttpOnly and
// SameSite=Lax. Over https it is Secure, and the prefix __Host- binds it to its host; over
// http, as on localhost, it has another name, so that one is never used for the other.
package sessions

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/multisite/multisite/apps/app"
)

//go:embed migrations
var migrations embed.FS

// lifetime is how long a session lasts after it was made, used or not.
const lifetime = 14 * 24 * time.Hour

// App describes the app to a site.
func App() app.App {
	return app.App{Name: "sessions", Migrations: migrations, Wrap: wrap, Transient: true}
}

// Session is the values of the visitor of one request.
type Session struct {
	manager *scs.SessionManager
	ctx     context.Context // of the request; scs keeps the values in it
}

type managerKey struct{}

// From returns the session of a request.
func From(ctx context.Context) Session {
	manager, ok := ctx.Value(managerKey{}).(*scs.SessionManager)
	if !ok {
		panic("sessions: the request did not pass through the sessions app")
	}
	return Session{manager: manager, ctx: ctx}
}

// Get returns the value of key, or "".
func (s Session) Get(key string) string { return s.manager.GetString(s.ctx, key) }

// Put stores a value under key.
func (s Session) Put(key, value string) { s.manager.Put(s.ctx, key, value) }

// Pop returns the value of key, or "", and deletes it.
func (s Session) Pop(key string) string { return s.manager.PopString(s.ctx, key) }

// Renew gives the session a new token and keeps its values. It must be called when the
// rights of the visitor change, so that a token which an attacker has planted is void.
func (s Session) Renew() error {
	if err := s.manager.RenewToken(s.ctx); err != nil {
		return fmt.Errorf("renew session: %w", err)
	}
	return nil
}

// Destroy deletes the session.
func (s Session) Destroy() error {
	if err := s.manager.Destroy(s.ctx); err != nil {
		return fmt.Errorf("destroy session: %w", err)
	}
	return nil
}

func wrap(env *app.Env, next http.Handler) http.Handler {
	plain, secure := newManager(env), newManager(env)
	plain.Cookie.Name = "session"
	secure.Cookie.Name = "__Host-session"
	secure.Cookie.Secure = true
	overHTTP, overHTTPS := withSession(plain, next), withSession(secure, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if app.IsHTTPS(r) {
			overHTTPS.ServeHTTP(w, r)
			return
		}
		overHTTP.ServeHTTP(w, r)
	})
}

// withSession loads the session of a request before next and saves it afterwards.
func withSession(manager *scs.SessionManager, next http.Handler) http.Handler {
	return manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), managerKey{}, manager)))
	}))
}

func newManager(env *app.Env) *scs.SessionManager {
	manager := scs.New()
	manager.Lifetime = lifetime
	manager.Store = store{db: env.DB, key: env.Key, site: env.SiteID}
	manager.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		env.Log.Error("session failed", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
	return manager
}
