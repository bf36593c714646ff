// Package sessions remembers a visitor from one request to the next, in the
// shared database, by alexedwards/scs.
//
// A visitor about whom nothing was stored costs no row, no write and no
// cookie. The cookie is HttpOnly and SameSite=Lax, and behind TLS it is Secure
// and bound to its host by the __Host- prefix; plain http, as on localhost,
// has a cookie of another name, so neither can stand in for the other.
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

// lifetime is how long a login lasts, whatever the visitor does.
const lifetime = 14 * 24 * time.Hour

// App describes the app to a site.
func App() app.App {
	return app.App{Name: "sessions", Migrations: migrations, Wrap: wrap, Transient: true}
}

// Session is what is remembered about the visitor of one request.
type Session struct {
	manager *scs.SessionManager
	ctx     context.Context // the request's: scs keeps the values in it
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

// Get returns a value, or "".
func (s Session) Get(key string) string { return s.manager.GetString(s.ctx, key) }

// Put stores a value.
func (s Session) Put(key, value string) { s.manager.Put(s.ctx, key, value) }

// Pop returns a value, or "", and forgets it.
func (s Session) Pop(key string) string { return s.manager.PopString(s.ctx, key) }

// Renew gives the session a new token and keeps its values. Call it whenever
// the visitor's rights change, so that a token planted before is worth nothing.
func (s Session) Renew() error {
	if err := s.manager.RenewToken(s.ctx); err != nil {
		return fmt.Errorf("renew session: %w", err)
	}
	return nil
}

// Destroy forgets everything.
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
	overHTTP, overHTTPS := carry(plain, next), carry(secure, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if app.IsHTTPS(r) {
			overHTTPS.ServeHTTP(w, r)
			return
		}
		overHTTP.ServeHTTP(w, r)
	})
}

func carry(manager *scs.SessionManager, next http.Handler) http.Handler {
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
