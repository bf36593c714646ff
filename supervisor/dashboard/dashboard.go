// Package dashboard is a web page that shows every site and worker of a running
// supervisor. The page is read-only: it has no form and no script.
//
// It is served only to a browser that has the token and asked for a loopback host
// name. So it cannot be read by other users of the machine, by a site that is tricked
// into sending a request, or by a web page on the Internet whose host name resolves
// to this machine (DNS rebinding).
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

	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/visible"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var styleCSS string

// Handler serves the page at /, to those who have the token. source returns what the
// page shows.
func Handler(token string, source func(context.Context) status.Status) http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{
		"size": size, "count": count, "latency": latency, "summary": summary, "workers": workers, "schedule": schedule, "visible": visible.Text,
		"style": func() template.CSS { return template.CSS(styleCSS) },
	}).Parse(pageHTML))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		render(w, page, source(r.Context()))
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

func render(w http.ResponseWriter, page *template.Template, st status.Status) {
	now := time.Now()
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		status.Status
		Now time.Time
		Age func(time.Time) string
	}{st, now, func(t time.Time) string { return age(now, t) }})
	if err != nil {
		http.Error(w, "The page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes()) // the browser may have closed the connection
}

// policy returns a Content-Security-Policy that allows only the page's style sheet, by
// its hash.
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
