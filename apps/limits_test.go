package apps_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/apps"
)

func TestLimits_ThrottleCountsAddressesAndNames(t *testing.T) {
	t.Parallel()
	attempts := func(n int, name, address string, age time.Duration) []row {
		rows := make([]row, n)
		for i := range rows {
			rows[i] = row{"id": i + 1, "at": time.Now().Add(-age).UTC().Format(time.RFC3339),
				"username": strings.ReplaceAll(name, "*", fmt.Sprint(i)), "address": strings.ReplaceAll(address, "*", fmt.Sprint(i))}
		}
		return rows
	}
	for _, test := range []struct {
		name            string
		rows            []row
		here, elsewhere int
	}{
		{"many names from one address", attempts(30, "user*", "192.0.2.1", 0), http.StatusTooManyRequests, http.StatusSeeOther},
		{"one name from many addresses", attempts(100, testUser, "198.51.100.*", 0), http.StatusTooManyRequests, http.StatusTooManyRequests},
		{"not quite too many", attempts(99, testUser, "198.51.100.*", 0), http.StatusSeeOther, http.StatusSeeOther},
		{"long ago", attempts(100, testUser, "192.0.2.1", 16*time.Minute), http.StatusSeeOther, http.StatusSeeOther},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.user(1, testUser, 1, 1)
			p.load("auth_attempt", test.rows...)
			for address, want := range map[string]int{"192.0.2.1": test.here, "192.0.2.2": test.elsewhere} {
				v := p.visitor(site1)
				v.header.Set("X-Forwarded-For", address)
				v.post("/accounts/login", "username", testUser, "password", testPassword).want(t, want)
			}
		})
	}
}

func TestLimits_SessionsExpire(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	v.logIn(testUser)
	v.get("/admin/").want(t, http.StatusOK)
	if code, out := runManage(t, p.state, "UPDATE sessions_session SET expires_at = '2026-01-01T00:00:00Z';", "dbshell"); code != 0 {
		t.Fatal(out)
	}
	v.get("/admin/").want(t, http.StatusSeeOther)
	p.visitor(site2).logIn(testUser)
	if got := p.query("SELECT count(*) FROM sessions_session"); got != "1" {
		t.Errorf("%s sessions are kept, want the one that has not expired", got)
	}
}

func TestLimits_FormsHaveASize(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	v.logIn(testUser)
	v.post("/admin/blog/post/add", "body", strings.Repeat("x", 3<<20)).want(t, http.StatusRequestEntityTooLarge, "more than this site takes")
	v.post("/admin/blog/post/add", "body", strings.Repeat("x", 1<<20)).want(t, http.StatusUnprocessableEntity, "100000 is the most")
}

// An error is logged. Visitors only see it with debug = true.
func TestLimits_ErrorsShowVisitorsNothing(t *testing.T) {
	t.Parallel()
	for _, debug := range []bool{false, true} {
		t.Run(fmt.Sprint("debug=", debug), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "site.toml")
			text := fmt.Sprintf("extends = \"builtin:subdomain1.toml\"\ndatabase = \"a.db\"\nsecret_key_file = \"key\"\ndebug = %v\n", debug)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			site, err := apps.Open(t.Context(), file, apps.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = site.Close() })
			if code, out := manageFile(t, file, "ALTER TABLE blog_post RENAME TO gone;", "dbshell"); code != 0 {
				t.Fatal(out)
			}
			p := project{t, dir, map[string]*apps.Site{"subdomain1.localhost": site}}
			a := p.visitor(site1).get("/")
			a.want(t, http.StatusInternalServerError, "Internal Server Error", "Subdomain1")
			if shown := strings.Contains(a.Body, "no such table"); shown != debug {
				t.Errorf("the page shows the error: %v, want %v", shown, debug)
			}
			if !strings.Contains(log.String(), "no such table: blog_post") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

func TestSites_KeepTheNamesTheyWereGiven(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.user(1, testUser, 1, 1)
	v := p.visitor(site1)
	v.logIn(testUser)
	v.post("/admin/sites/site/2/", "_version", "1", "domain", "http://polls.example.com/", "name", "").
		want(t, http.StatusUnprocessableEntity, "Write only the domain", "This is needed.")
	v.post("/admin/sites/site/2/", "_version", "1", "domain", "Polls.example.com", "name", "All the polls").want(t, http.StatusSeeOther)
	p.visitor(site2).get("/").want(t, http.StatusOK, "<title>Polls · All the polls</title>")

	again, err := apps.Open(t.Context(), "builtin:subdomain2", apps.Options{StateDir: p.state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	if got := p.query("SELECT name || ' at ' || domain FROM sites_site WHERE id = 2"); got != "All the polls at polls.example.com" {
		t.Errorf("after a restart the site is %s", got)
	}
}
