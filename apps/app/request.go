package app

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// IsHTTPS reports whether the client's connection is encrypted. It trusts the header:
// the front door drops one that a client sends.
func IsHTTPS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// ClientAddr returns the client's address as the front door has seen it.
func ClientAddr(r *http.Request) string {
	hops := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
	if addr := strings.TrimSpace(hops[len(hops)-1]); addr != "" {
		return addr
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// RequestURL returns the path and query of the URL in the request line. r.URL does not
// have the path of the app any more.
func RequestURL(r *http.Request) *url.URL {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return &url.URL{Path: "/"}
	}
	return &url.URL{Path: asked.Path, RawPath: asked.RawPath, RawQuery: asked.RawQuery}
}

// LocalPath returns target if it is a path on this site, and fallback if a browser could
// understand it as anything else.
func LocalPath(target, fallback string) string {
	parsed, err := url.Parse(target)
	if err != nil || parsed.Scheme != "" || parsed.Host != "" || parsed.User != nil || parsed.Opaque != "" {
		return fallback
	}
	// Browsers read a backslash as a slash and skip control characters.
	unsafe := strings.ContainsFunc(target, func(c rune) bool { return c == '\\' || c < ' ' || c == 0x7f })
	if unsafe || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return fallback
	}
	return target
}
