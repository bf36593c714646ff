package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the style sheet
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed site.css
var style []byte

const stylePath = "/static/site.css"

// styleURL returns the URL of the style sheet. It changes with the content, so that
// browsers may cache it for ever.
func styleURL() string {
	sum := sha256.Sum256(style)
	return stylePath + "?v=" + hex.EncodeToString(sum[:6])
}

// Static serves the style sheet; next serves everything else.
func Static(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != stylePath {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		if r.URL.RequestURI() == styleURL() {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(w, r, "site.css", time.Time{}, bytes.NewReader(style))
	})
}
