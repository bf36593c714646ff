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

// Every user of the machine, and every site, can connect to the page. So it is shown
// only for a token. The address carries the token once; then the browser keeps it as a
// cookie for this host name, which it sends with no request that another site causes.
const (
	tokenName   = "token"
	cookieName  = "multisite_dashboard"
	noTokenText = "The dashboard needs a token: `multisite dashboard` opens it with one.\n"
)

// entered is a page that leads to the dashboard. An HTTP redirect would not work: a
// browser that came from a file or another site would not send the new cookie with it.
const entered = `<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>multisite</title><a href="/">dashboard</a>` + "\n"

// guarded serves next only to requests that have the token.
func guarded(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie(cookieName); err == nil && same(cookie.Value, token) && !r.URL.Query().Has(tokenName) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet || r.URL.Path != "/" || !same(r.URL.Query().Get(tokenName), token) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, noTokenText) // the browser may have closed the connection
			return
		}
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, entered) // the browser may have closed the connection
	})
}

// same compares in constant time, which does not reveal how much of given is right.
func same(given, token string) bool {
	return token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

// URL returns the address of the dashboard with its token. Browsers send a cookie to
// every port of its host name, and so to any other server on this machine under that
// name. So where a name below .localhost leads here (RFC 6761), the host name is derived
// from the token, and nobody can guess it without the token.
func URL(addr *net.TCPAddr, token string) string {
	host := addr.IP.String()
	if addr.IP.Equal(net.IPv4(127, 0, 0, 1)) || addr.IP.Equal(net.IPv6loopback) {
		sum := sha256.Sum256([]byte("host name: " + token))
		host = "dashboard-" + hex.EncodeToString(sum[:8]) + ".localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "/?" + tokenName + "=" + token
}
