package dashboard

import (
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// TestHandler_NothingWithoutTheToken: every request without the token gets the same line.
func TestHandler_NothingWithoutTheToken(t *testing.T) {
	t.Parallel()
	for _, token := range []string{testToken, ""} {
		handler := Handler(token, example)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			for _, path := range []string{"/", "/?token=", "/?token=TOKE", "/?token=TOKENS", "/?token=token", "/other", "/other?token=TOKEN", "/favicon.ico"} {
				for _, cookie := range []string{"", "x=y", cookieName + "=", cookieName + "=TOKE", cookieName + "=token", "token=TOKEN"} {
					r := httptest.NewRequest(method, path, nil)
					r.Host = "localhost:8081"
					r.Header.Set("Cookie", cookie)
					rec := httptest.NewRecorder()
					handler.ServeHTTP(rec, r)
					if rec.Code != 403 || rec.Body.String() != noTokenText || rec.Header().Get("Set-Cookie") != "" || rec.Header().Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%s %s %s: got %d %q %v", method, path, cookie, rec.Code, rec.Body, rec.Header())
					}
				}
			}
		}
	}
}

// TestHandler_TheTokenBecomesACookie: the token becomes a cookie that no script can read
// and no other site can cause to be sent, and leaves the address.
func TestHandler_TheTokenBecomesACookie(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, host string
		want         int
	}{{"GET", "dashboard.localhost:8081", 200}, {"POST", "localhost", 403}, {"GET", "evil.example.com", 421}} {
		r := httptest.NewRequest(test.method, "/?token=TOKEN", nil)
		r.Host = test.host
		rec := httptest.NewRecorder()
		Handler(testToken, example).ServeHTTP(rec, r)
		if rec.Code != test.want || strings.Contains(rec.Body.String(), "blog") {
			t.Errorf("%s %s: got %d %q", test.method, test.host, rec.Code, rec.Body)
		}
		cookie := rec.Header().Get("Set-Cookie")
		if want := cookieName + "=TOKEN; Path=/; HttpOnly; SameSite=Strict"; test.want == 200 && cookie != want || test.want != 200 && cookie != "" {
			t.Errorf("%s %s: cookie %q", test.method, test.host, cookie)
		}
		if test.want == 200 && !strings.Contains(rec.Body.String(), `content="0;url=/"`) {
			t.Errorf("got %q", rec.Body)
		}
	}
	r := httptest.NewRequest("GET", "/?token=old", nil)
	r.Host = "localhost"
	r.AddCookie(&http.Cookie{Name: cookieName, Value: testToken})
	rec := httptest.NewRecorder()
	Handler(testToken, example).ServeHTTP(rec, r)
	if rec.Code != 403 {
		t.Errorf("the token of another start: got %d", rec.Code)
	}
}

// TestURL: the host name depends on the token and contains no part of it.
func TestURL(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^http://(dashboard-[0-9a-f]{16})\.localhost:8081/\?token=`)
	one := name.FindStringSubmatch(URL(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081}, "ONE"))
	other := name.FindStringSubmatch(URL(&net.TCPAddr{IP: net.IPv6loopback, Port: 8081}, "OTHER"))
	if one == nil || other == nil || one[1] == other[1] {
		t.Errorf("got %q and %q, want two names", one, other)
	}
	if got, want := URL(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 80}, "ONE"), "http://127.0.0.9:80/?token=ONE"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
