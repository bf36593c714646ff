package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
)

// Every user of the machine, and every site, can connect to the page. So it answers
// to a token alone: in the address once, where it becomes a cookie. That is the
// browser's for this one host name, sent with no request that another site causes.
const (
	tokenName   = "token"
	cookieName  = "multisite_dashboard"
	noTokenText = "The dashboard asks for a token: `multisite dashboard` opens it.\n"
)

// entered leads to the page. A redirection would not do: a browser that came from a
// file or from another site would not send the new cookie along.
const entered = `<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>multisite</title><a href="/">dashboard</a>` + "\n"

// guarded lets nobody but who has the token see anything of next.
func guarded(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie(cookieName); err == nil && same(cookie.Value, token) && !r.URL.Query().Has(tokenName) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet || r.URL.Path != "/" || !same(r.URL.Query().Get(tokenName), token) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, noTokenText) // the browser went away
			return
		}
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, entered) // the browser went away
	})
}

// same compares in a time that tells nothing of how much is right.
func same(given, token string) bool {
	return token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

// URL is where a browser enters with the token. A cookie goes to every port of its
// host name, and so to any server on this machine that a page there leads to. So the
// name is one that nobody can guess who does not know the token, where a name can lead
// here (RFC 6761).
func URL(addr *net.TCPAddr, token string) string {
	host := addr.IP.String()
	if addr.IP.Equal(net.IPv4(127, 0, 0, 1)) || addr.IP.Equal(net.IPv6loopback) {
		sum := sha256.Sum256([]byte("host name: " + token))
		host = "dashboard-" + hex.EncodeToString(sum[:8]) + ".localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "/?" + tokenName + "=" + token
}
