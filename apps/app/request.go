package app

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// IsHTTPS reports whether the visitor's connection is encrypted. The front
// door says so; it drops what visitors claim themselves.
func IsHTTPS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// ClientAddr returns the visitor's address as the front door saw it.
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

// Asked returns the URL as the visitor asked for it, while r.URL may lack the
// path of the app. It has a path and a query only.
func Asked(r *http.Request) *url.URL {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return &url.URL{Path: "/"}
	}
	return &url.URL{Path: asked.Path, RawPath: asked.RawPath, RawQuery: asked.RawQuery}
}

// LocalPath returns target when it is a path on this very site, and fallback
// when a browser could take it for anything else.
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
