package apps

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/page"
	"github.com/multisite/multisite/apps/settings"
)

// maxForm is the greatest body of a request. These apps take forms, but no files.
const maxForm = 2 << 20

// policy lets pages load the style sheet and nothing else; no script runs.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// newHandler joins the apps. From the outside to the inside the handler has what protects
// every request, the Wrap of each app, and the app with the longest matching path.
func newHandler(ctx context.Context, env *app.Env, s settings.Settings) (http.Handler, error) {
	pages, err := page.New(page.Options{Chrome: chrome(env), Zone: env.Zone, Log: env.Log, Debug: s.Debug})
	if err != nil {
		return nil, err
	}
	env.Pages = pages

	mux := http.NewServeMux() // it prefers the longest path, and redirects "/admin" to "/admin/"
	for path, name := range s.URLs {
		routes := env.Installed[slices.IndexFunc(env.Installed, func(a app.App) bool { return a.Name == name })].Routes
		own, err := routes(env)
		if err != nil {
			return nil, fmt.Errorf("build the pages of app %s: %w", name, err)
		}
		mux.Handle(path, http.StripPrefix(strings.TrimSuffix(path, "/"), own))
	}
	handler := styleErrors(pages, mux)
	for _, a := range slices.Backward(env.Installed) {
		if a.Wrap != nil {
			handler = a.Wrap(env, handler)
		}
	}
	return recoverPanics(env, protect(pages, s, page.Static(handler))), nil
}

// protect refuses requests for other hosts, forms of other sites and large bodies.
func protect(pages *page.Pages, s settings.Settings, next http.Handler) http.Handler {
	refuse := func(status int, text string) http.Handler {
		return pages.Handle(func(http.ResponseWriter, *http.Request) error {
			return page.Problem{Status: status, Text: text}
		})
	}
	unknownHost := refuse(http.StatusMisdirectedRequest, "No site of that name is served here.")
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(refuse(http.StatusForbidden, "That form was sent from another site."))
	inner := origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !s.Allows(r.Host) {
			unknownHost.ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		inner.ServeHTTP(w, r)
	})
}

// recoverPanics answers a request that panicked with 500 and logs the stack.
func recoverPanics(env *app.Env, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if reason == http.ErrAbortHandler {
				panic(reason)
			}
			env.Log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "error", reason, "stack", string(debug.Stack()))
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// styleErrors replaces the plain 404 and 405 of http.ServeMux by pages of the site.
func styleErrors(pages *page.Pages, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(&styledErrors{ResponseWriter: w, pages: pages, request: r}, r)
	})
}

// styledErrors is a ResponseWriter that replaces a plain text error by a page.
type styledErrors struct {
	http.ResponseWriter
	pages    *page.Pages
	request  *http.Request
	replaced bool // the page was written: the plain text is dropped
}

func (d *styledErrors) WriteHeader(status int) {
	plain := strings.HasPrefix(d.Header().Get("Content-Type"), "text/plain")
	text := map[int]string{
		http.StatusNotFound:         "There is no such page on this site.",
		http.StatusMethodNotAllowed: "This page cannot be used that way.",
	}[status]
	if plain && text != "" {
		d.replaced = true
		d.pages.Fail(d.ResponseWriter, d.request, page.Problem{Status: status, Text: text})
		return
	}
	d.ResponseWriter.WriteHeader(status)
}

func (d *styledErrors) Write(b []byte) (int, error) {
	if d.replaced {
		return len(b), nil
	}
	return d.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (d *styledErrors) Unwrap() http.ResponseWriter { return d.ResponseWriter }
