package page

import (
	"bytes"
	"net/http"
	"time"
)

// StylePath is where Style is served. Its name changes with every release
// that changes it, for browsers keep it for a year.
const stylePath = "/static/site.css"

// Static serves the style sheet, and everything else by next.
func Static(next http.Handler) http.Handler {
	css, err := files.ReadFile("site.css")
	if err != nil {
		panic(err) // it is part of the binary
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != stylePath {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		http.ServeContent(w, r, "site.css", time.Time{}, bytes.NewReader(css))
	})
}
