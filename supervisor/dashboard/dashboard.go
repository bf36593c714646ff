// Package dashboard is a web page that shows every site and worker of a running
// supervisor. It only shows: there is no form, no script, and no way to change
// anything.
//
// It answers nobody but a browser that has the token and asked for a loopback name,
// so that no other user of the machine can read it, nor a site that is made to send
// a request, nor a web page elsewhere through a name of its own that points here
// (DNS rebinding). What it shows comes from a source that the supervisor gives.
package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var styleCSS string

// maxWait bounds the gathering of a view: a stuck worker must not hang the page.
const maxWait = 5 * time.Second

// Handler returns the page at / of a listener of its own, for who has the token.
func Handler(token string, source func(context.Context) (View, error)) http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{
		"size": size, "count": count, "short": short,
		"style": func() template.CSS { return template.CSS(styleCSS) },
	}).Parse(pageHTML))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maxWait)
		defer cancel()
		v, err := source(ctx)
		if err != nil {
			http.Error(w, "The status is not to be had: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		render(w, page, v)
	})
	inner := guarded(token, mux)
	policy := policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			http.Error(w, "The dashboard answers only on this machine, as localhost.", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		inner.ServeHTTP(w, r)
	})
}

func render(w http.ResponseWriter, page *template.Template, v View) {
	now := time.Now()
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		View
		Now time.Time
		Age func(time.Time) string
	}{v, now, func(t time.Time) string { return age(now, t) }})
	if err != nil {
		http.Error(w, "The page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes()) // the browser went away
}

// policy allows the one style sheet, by its hash, and nothing else.
func policy() string {
	sum := sha256.Sum256([]byte(styleCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}
