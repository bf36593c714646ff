package apps_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	site1 = "http://subdomain1.localhost"
	site2 = "http://subdomain2.localhost"
)

func TestSecurity_SessionCookie(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	for _, test := range []struct {
		base, name string
		secure     bool
	}{
		{site1, "session", false},
		{"https://subdomain1.localhost", "__Host-session", true},
	} {
		t.Run(test.base, func(t *testing.T) {
			v := p.visitor(test.base)
			if cookies := v.get("/").Cookies; len(cookies) != 0 {
				t.Errorf("a visitor of whom nothing is remembered got cookies %v", cookies)
			}
			cookies := v.logIn(testUser).Cookies
			if len(cookies) != 1 {
				t.Fatalf("got cookies %v, want one", cookies)
			}
			c := cookies[0]
			if c.Name != test.name || c.Secure != test.secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" || c.Path != "/" {
				t.Errorf("got cookie %+v", c)
			}
			if stored := p.query("SELECT count(*) FROM sessions_session WHERE token = '" + c.Value + "'"); stored != "0" {
				t.Error("the database holds the cookie itself")
			}
		})
	}
}

func TestSecurity_SessionRotatesAtLogin(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	v.logIn(testUser)
	planted := v.post("/accounts/logout").Cookies[0].Value // a session with a message in it
	fresh := v.logIn(testUser).Cookies[0].Value
	if planted == fresh {
		t.Error("the session kept its token at login")
	}
	thief := p.visitor(site1)
	thief.header.Set("Cookie", "session="+planted)
	thief.get("/admin/").want(t, http.StatusSeeOther)
	thief.header.Set("Cookie", "session="+fresh)
	thief.get("/admin/").want(t, http.StatusOK) // so the check above can fail
}

func TestSecurity_SessionOfOneSiteIsNotOneOfAnother(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	cookie := p.visitor(site1).logIn(testUser).Cookies[0]
	other := p.visitor(site2)
	other.header.Set("Cookie", cookie.Name+"="+cookie.Value)
	other.get("/admin/").want(t, http.StatusSeeOther)
}

func TestSecurity_NoOpenRedirect(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "javascript:alert(1)", "/\t/evil.example/", "evil"} {
		t.Run(next, func(t *testing.T) {
			a := p.visitor(site1).post("/accounts/login", "username", testUser, "password", testPassword, "next", next)
			if a.Status != http.StatusSeeOther || a.Location != "/" {
				t.Errorf("got %d to %q, want 303 to /", a.Status, a.Location)
			}
		})
	}
	v := p.visitor(site1)
	a := v.post("/accounts/login", "username", testUser, "password", testPassword, "next", "/admin/blog/post/?q=a")
	if a.Location != "/admin/blog/post/?q=a" {
		t.Errorf("got %q, want the page that asked for the login", a.Location)
	}
	if a := v.get("/accounts/login?next=//evil.example/"); a.Location != "/" {
		t.Errorf("who is logged in was sent to %q", a.Location)
	}
}

// Both answers are the same, so that they do not show which users exist.
func TestSecurity_UnknownUsersAreNotToldApart(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	wrong := p.visitor(site1).post("/accounts/login", "username", testUser, "password", "wrong")
	unknown := p.visitor(site1).post("/accounts/login", "username", "nobody", "password", "wrong")
	wrong.want(t, http.StatusUnprocessableEntity, "do not match")
	if strings.ReplaceAll(unknown.Body, "nobody", testUser) != wrong.Body || unknown.Status != wrong.Status {
		t.Errorf("got %d:\n%s\nwant %d:\n%s", unknown.Status, unknown.Body, wrong.Status, wrong.Body)
	}
}

func TestSecurity_LoginIsThrottled(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	for range 5 {
		v.post("/accounts/login", "username", testUser, "password", "wrong").want(t, http.StatusUnprocessableEntity, "do not match")
	}
	refused := v.post("/accounts/login", "username", strings.ToUpper(testUser), "password", testPassword)
	refused.want(t, http.StatusTooManyRequests, "Too many")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("the answer lacks Retry-After")
	}
	// The other site has the same users, and so the same count of failures.
	p.visitor(site2).post("/accounts/login", "username", testUser, "password", testPassword).want(t, http.StatusTooManyRequests)

	elsewhere := p.visitor(site1)
	elsewhere.header.Set("X-Forwarded-For", "192.0.2.2")
	elsewhere.logIn(testUser)
}

func TestSecurity_FormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	v.logIn(testUser)
	for name, value := range map[string]string{"Sec-Fetch-Site": "same-site", "Origin": site2} {
		v.header = http.Header{name: {value}}
		v.post("/admin/blog/post/add", "title", "x").want(t, http.StatusForbidden, "sent from another site")
	}
	v.header = http.Header{"Sec-Fetch-Site": {"same-origin"}}
	v.post("/admin/blog/post/add", "title", "x").want(t, http.StatusUnprocessableEntity)
}

func TestSecurity_Headers(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	v := p.visitor(site1)
	for path, status := range map[string]int{"/": 200, "/nope": 404, "/accounts/login": 200, "/static/site.css": 200} {
		a := v.get(path)
		a.want(t, status)
		policy := a.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
			t.Errorf("%s: got policy %q", path, policy)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got headers %v", path, a.Header)
		}
		a.lacks(t, "<script", "style=", "onclick")
	}
	p.visitor("http://evil.example").get("/").want(t, http.StatusMisdirectedRequest)
}

func TestSecurity_WhoMayUseTheAdmin(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, "super", 1, 1)
	p.user(2, "staff", 1, 0)
	p.user(3, "reader", 0, 0)

	if a := p.visitor(site1).get("/admin/blog/post/?q=x"); a.Location != "/accounts/login?next=%2Fadmin%2Fblog%2Fpost%2F%3Fq%3Dx" {
		t.Errorf("a stranger was sent to %q", a.Location)
	}
	reader := p.visitor(site1)
	reader.logIn("reader")
	reader.get("/admin/").want(t, http.StatusForbidden)
	reader.get("/").lacks(t, `"/admin/"`)

	staff := p.visitor(site1)
	staff.logIn("staff")
	staff.get("/admin/").want(t, http.StatusOK, "Posts")
	staff.get("/admin/").lacks(t, "Users", "Log entries")
	staff.get("/admin/auth/user/").want(t, http.StatusNotFound)
	staff.get("/admin/auth/user/1/").want(t, http.StatusNotFound)
	staff.post("/admin/auth/user/2/", "_version", "1", "username", "staff", "is_superuser", "1").want(t, http.StatusNotFound)

	super := p.visitor(site1)
	super.logIn("super")
	super.get("/admin/auth/user/").want(t, http.StatusOK, "reader")
	super.get("/admin/auth/user/1/").lacks(t, "$2a$")
}

func TestSecurity_SessionEndsWithThePasswordAndTheAccount(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, "super", 1, 1)
	p.user(2, "staff", 1, 0)
	here, there := p.visitor(site1), p.visitor(site2)
	here.logIn("staff")
	there.logIn("staff")

	const better = "an even better one"
	here.post("/accounts/password", "old", "wrong", "new", "short", "again", "other").
		want(t, http.StatusUnprocessableEntity, "This is not your password", "at least 10", "not the same")
	here.post("/accounts/password", "old", testPassword, "new", better, "again", better).want(t, http.StatusSeeOther)
	here.get("/admin/").want(t, http.StatusOK)
	there.get("/admin/").want(t, http.StatusSeeOther)

	super := p.visitor(site2)
	super.logIn("super")
	super.post("/admin/auth/user/2/", "_version", p.query("SELECT version FROM auth_user WHERE id = 2"), "username", "staff", "is_staff", "1").
		want(t, http.StatusSeeOther)
	here.get("/admin/").want(t, http.StatusSeeOther) // no longer active
	here.post("/accounts/login", "username", "staff", "password", better).want(t, http.StatusUnprocessableEntity)
}

func TestSecurity_LogoutNeedsAPost(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	v.logIn(testUser)
	v.get("/accounts/logout").want(t, http.StatusMethodNotAllowed)
	v.get("/admin/").want(t, http.StatusOK)
	v.post("/accounts/logout").want(t, http.StatusSeeOther)
	v.get("/").want(t, http.StatusOK, "You are logged out.")
	v.get("/").lacks(t, "You are logged out.")
	v.get("/admin/").want(t, http.StatusSeeOther)
}
