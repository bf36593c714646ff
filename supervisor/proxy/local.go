package proxy

import (
	"bytes"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// Link is a site in the list for those who ask for localhost.
type Link struct {
	Name string
	URL  string
}

// linksFor returns the list of sites, for a request that a person on this machine has sent
// for it; nil for all others. A request that a proxy has passed on is none of these: it may
// come from anywhere.
func (p *Proxy) linksFor(r *http.Request) []Link {
	if p.local == nil || r.RequestURI != "/" || r.Method != http.MethodGet && r.Method != http.MethodHead || !r.ProtoAtLeast(1, 1) {
		return nil
	}
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if r.Header[name] != nil {
			return nil
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return nil
	}
	for _, trusted := range p.trusted {
		if trusted.Contains(peer.Addr().Unmap()) {
			return nil
		}
	}
	listener, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if listener == nil {
		return nil
	}
	return p.local(listener)
}

// isLocalHost reports whether a host is what a person types for this machine.
func isLocalHost(host string) bool {
	switch host {
	case "localhost", "127.0.0.1", "::1", "[::1]":
		return true
	}
	return false
}

var listPage = template.Must(template.New("list").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>multisite</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1.5rem}h1{font-size:1.5rem}li{margin:.3rem 0}</style>
</head><body><h1>Sites on this machine</h1><ul>
{{range .}}<li><a href="{{.URL}}">{{.Name}}</a> <small>{{.URL}}</small></li>
{{end}}</ul></body></html>
`))

// list answers with the list of sites.
func (e *exchange) list(links []Link) {
	var page bytes.Buffer
	if err := listPage.Execute(&page, links); err != nil {
		e.fail(http.StatusInternalServerError, "list of sites", err)
		return
	}
	e.setWriteDeadline()
	h := e.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.r.ContentLength != 0 {
		h.Set("Connection", "close") // as in writePage
	}
	e.w.WriteHeader(http.StatusOK)
	_, _ = e.w.Write(page.Bytes()) // fails if the client has left
}
