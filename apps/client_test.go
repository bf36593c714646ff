package apps_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/multisite/multisite/apps"
)

const (
	testUser     = "ada"
	testPassword = "correct horse battery"
)

// project is the two builtin sites with a database of their own.
type project struct {
	t     testing.TB
	state string
	sites map[string]*apps.Site
}

func newProject(t testing.TB) project {
	t.Helper()
	p := project{t, t.TempDir(), map[string]*apps.Site{}}
	for _, name := range []string{"subdomain1", "subdomain2"} {
		site, err := apps.Open(t.Context(), "builtin:"+name, apps.Options{StateDir: p.state})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = site.Close() })
		p.sites[name+".localhost"] = site
	}
	return p
}

// load puts rows into a table.
func (p project) load(table string, rows ...map[string]any) {
	p.t.Helper()
	dump, err := json.Marshal([]any{map[string]any{"table": table, "rows": rows}})
	if err != nil {
		p.t.Fatal(err)
	}
	if code, out := runManage(p.t, p.state, string(dump), "loaddata", "-"); code != 0 {
		p.t.Fatalf("load %s: exit code %d: %s", table, code, out)
	}
}

type row = map[string]any

// user adds a user with testPassword, hashed so cheaply that tests are fast.
func (p project) user(id int, name string, staff, superuser int) {
	p.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(testPassword), bcrypt.MinCost)
	if err != nil {
		p.t.Fatal(err)
	}
	p.load("auth_user", row{"id": id, "username": name, "password": string(hash), "is_staff": staff, "is_superuser": superuser})
}

// query returns the first value of a query's result.
func (p project) query(query string) string {
	p.t.Helper()
	code, out := runManage(p.t, p.state, query+";", "dbshell")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) < 2 {
		p.t.Fatalf("%s: exit code %d: %s", query, code, out)
	}
	return strings.TrimSpace(lines[1])
}

// RoundTrip gives a request to the site of its host, as the front door does.
func (p project) RoundTrip(r *http.Request) (*http.Response, error) {
	in := httptest.NewRequest(r.Method, r.URL.String(), r.Body)
	in.Header = r.Header.Clone()
	in.Header.Set("X-Forwarded-Proto", r.URL.Scheme)
	if in.Header.Get("X-Forwarded-For") == "" {
		in.Header.Set("X-Forwarded-For", "192.0.2.1")
	}
	site := p.sites[r.URL.Hostname()]
	if site == nil {
		site = p.sites["subdomain1.localhost"]
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, in)
	response := w.Result()
	response.Request = r
	return response, nil
}

// visitor is one browser. It keeps cookies and does not follow redirects.
type visitor struct {
	t      testing.TB
	client *http.Client
	base   string
	header http.Header // sent with every request
}

func (p project) visitor(base string) visitor {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return visitor{p.t, &http.Client{Transport: p, Jar: jar, CheckRedirect: stay}, base, http.Header{}}
}

// answer is one response as a visitor got it.
type answer struct {
	Status   int
	Header   http.Header
	Body     string
	Location string
	Cookies  []*http.Cookie
}

func (v visitor) get(path string) answer {
	v.t.Helper()
	return v.send("GET", path, nil)
}

// post sends a form; its arguments are name, value, name, value.
func (v visitor) post(path string, form ...string) answer {
	v.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	return v.send("POST", path, values)
}

func (v visitor) send(method, path string, form url.Values) answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header = v.header.Clone()
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body), response.Header.Get("Location"), response.Cookies()}
}

// logIn logs in. The test fails if that fails.
func (v visitor) logIn(name string) answer {
	v.t.Helper()
	a := v.post("/accounts/login", "username", name, "password", testPassword, "next", "/admin/")
	a.want(v.t, http.StatusSeeOther)
	return a
}

func (a answer) want(t testing.TB, status int, texts ...string) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("got status %d, want %d; location %q\n%s", a.Status, status, a.Location, a.Body)
	}
	for _, text := range texts {
		if !strings.Contains(a.Body, text) {
			t.Errorf("the page lacks %q:\n%s", text, a.Body)
		}
	}
}

func (a answer) lacks(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.Body, text) {
			t.Errorf("the page has %q:\n%s", text, a.Body)
		}
	}
}

// runManage runs a management command and returns what it printed.
func runManage(t testing.TB, state, stdin string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = apps.Manage(t.Context(), "builtin:subdomain1", apps.Options{StateDir: state}, args, strings.NewReader(stdin), &out, &out)
	return code, out.String()
}

// manageFile is runManage for a site with a settings file of its own.
func manageFile(t testing.TB, settings, stdin string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = apps.Manage(t.Context(), settings, apps.Options{}, args, strings.NewReader(stdin), &out, &out)
	return code, out.String()
}
