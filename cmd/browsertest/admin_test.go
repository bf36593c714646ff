package browsertest

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps"
)

const (
	testUser     = "ada"
	testPassword = "correct horse battery"
)

// TestAdmin_OneForTwoSites guards the promise of package apps: two sites on one
// database share one admin and one login.
func TestAdmin_OneForTwoSites(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	one, two := serve(t, state, "subdomain1"), serve(t, state, "subdomain2")
	createSuperuser(t, state)
	b := newBrowser(t)

	b.visit(one + "/admin/")
	b.logIn()
	b.see("h1", "Administration")

	b.visit(one + "/admin/blog/post/add")
	b.fill("title", "Hello, both sites")
	b.fill("slug", "hello")
	b.fill("body", "First.\n\nSee https://example.com/ for more.")
	b.check("Subdomain1")
	b.check("Subdomain2")
	b.choose("status", "published")
	b.press("Save")
	b.see(".message", "The post is added.")
	for _, address := range []string{one + "/", two + "/blog/"} {
		b.visit(address)
		b.see("article h2", "Hello, both sites")
		b.press("Hello, both sites")
		b.see("article", "See https://example.com/ for more.")
	}

	b.visit(one + "/admin/polls/poll/add")
	b.fill("question", "Tea or coffee?")
	b.fill("slug", "drinks")
	b.check("Subdomain2")
	b.press("Save and stay")
	b.press("Add")
	b.fill("text", "Tea")
	b.press("Save and add another")
	b.fill("text", "Coffee")
	b.press("Save")

	b.visit(two + "/")
	b.press("Tea or coffee?")
	b.check("Coffee")
	b.press("Vote")
	b.see(".message", "Your vote is counted.")
	b.see(".results", "Coffee (your vote)")

	b.visit(one + "/admin/polls/vote/")
	b.see("tbody tr", "Coffee")
	b.see("tbody tr", "Subdomain2")

	b.visit(two + "/admin/blog/post/")
	b.logIn() // with the same user: the cookie of the other site is not sent here
	b.see("tbody", "Hello, both sites")
	b.press("Log out")
	b.see(".message", "You are logged out.")
}

// serve runs a built-in site on a *.localhost name of its own and returns its URL.
func serve(t testing.TB, state, name string) string {
	t.Helper()
	site, err := apps.Open(t.Context(), "builtin:"+name, apps.Options{StateDir: state, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(func() {
		server.Close()
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.Replace(server.URL, "127.0.0.1", name+".localhost", 1)
}

func createSuperuser(t testing.TB, state string) {
	t.Helper()
	args := []string{"createsuperuser", "--username", testUser, "--email", "ada@example.com"}
	var out bytes.Buffer
	if code := apps.Manage(t.Context(), "builtin:subdomain1", apps.Options{StateDir: state}, args, strings.NewReader(testPassword+"\n"), &out, &out); code != 0 {
		t.Fatalf("createsuperuser: exit code %d: %s", code, out.String())
	}
}
