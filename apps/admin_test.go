package apps_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// newEditors returns a project with one post, and two editors who are logged in.
func newEditors(t testing.TB) (p project, ada, bob visitor) {
	t.Helper()
	p = newProject(t)
	p.user(1, "ada", 1, 1)
	p.user(2, "bob", 1, 0)
	p.load("blog_post", row{"id": 1, "title": "First", "slug": "first", "body": "Text", "status": "published", "published_at": "2026-01-02T10:00:00Z"})
	p.load("blog_post_sites", row{"post_id": 1, "site_id": 1})
	ada, bob = p.visitor(site1), p.visitor(site2)
	ada.logIn("ada")
	bob.logIn("bob")
	return p, ada, bob
}

// post returns a form for the post of newEditors with some fields changed.
func post(version string, changes ...string) []string {
	fields := []string{"title", "First", "slug", "first", "body", "Text", "sites", "1", "status", "published", "published_at", "2026-01-02T10:00", "author_id", ""}
	for i := 0; i < len(changes); i += 2 {
		for j := 0; j < len(fields); j += 2 {
			if fields[j] == changes[i] {
				fields[j+1] = changes[i+1]
			}
		}
	}
	if version != "" {
		fields = append(fields, "_version", version)
	}
	return fields
}

func TestAdmin_SavesAndLogs(t *testing.T) {
	t.Parallel()
	p, ada, bob := newEditors(t)
	a := ada.post("/admin/blog/post/add", post("", "title", "Second <b>", "slug", "second", "author_id", "2")...)
	a.want(t, http.StatusSeeOther)
	ada.get(a.Location).want(t, http.StatusOK, "The post is added.", "Second &lt;b&gt;", "bob")

	bob.post("/admin/blog/post/2/", post("1", "title", "Third", "slug", "second", "sites", "2")...).want(t, http.StatusSeeOther)
	history := ada.get("/admin/blog/post/2/history")
	history.want(t, http.StatusOK, "bob changed", "Second &lt;b&gt; → Third", "Subdomain1 → Subdomain2", "bob → –", "ada added")
	history.lacks(t, "Slug")
	if got := p.query("SELECT username || ' ' || action || ' ' || site_id FROM admin_log ORDER BY id DESC"); got != "bob changed 2" {
		t.Errorf("the log says %q", got)
	}

	bob.post("/admin/blog/post/2/", post("2", "title", "Third", "slug", "second", "sites", "2")...).want(t, http.StatusSeeOther)
	bob.get("/admin/").want(t, http.StatusOK, "There was nothing to change.", "Recent changes", "ada added", "Third")
	if got := p.query("SELECT count(*) FROM admin_log"); got != "2" {
		t.Errorf("a change of nothing was logged: %s entries", got)
	}
}

func TestAdmin_ErrorsStandBesideTheField(t *testing.T) {
	t.Parallel()
	_, ada, _ := newEditors(t)
	for _, test := range []struct{ field, value, text string }{
		{"title", "  ", "This is needed."},
		{"title", strings.Repeat("x", 201), "This has 201 characters, and 200 is the most."},
		{"title", "a\x00b", "This has characters that cannot be stored."},
		{"slug", "Not a slug", "Use small letters"},
		{"slug", "first", "Another post has this already."},
		{"sites", "", "Choose among these."},
		{"sites", "77", "One of these is no longer there."},
		{"status", "other", "Choose one of these."},
		{"published_at", "tomorrow", "Write date and time like"},
		{"author_id", "x", "This is not a whole number."},
	} {
		t.Run(test.field+" "+test.text, func(t *testing.T) {
			a := ada.post("/admin/blog/post/add", post("", append([]string{"slug", "other"}, test.field, test.value)...)...)
			a.want(t, http.StatusUnprocessableEntity, `id="field-`+test.field+`-error">`+test.text, `aria-describedby="field-`+test.field+`-error`, "Nothing is saved yet: 1 entry needs another look.")
			if strings.Count(a.Body, `class="wrong"`) != 1 {
				t.Errorf("more than one field is wrong:\n%s", a.Body)
			}
			if test.field != "title" {
				a.want(t, http.StatusUnprocessableEntity, `value="First"`) // what was right is kept
			}
		})
	}
	ada.post("/admin/blog/post/add", post("", "slug", "other", "author_id", "99")...).
		want(t, http.StatusUnprocessableEntity, "stands in the way")
}

func TestAdmin_TwoEditorsDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	p, ada, bob := newEditors(t)
	seen := ada.get("/admin/blog/post/1/")
	seen.want(t, http.StatusOK, `name="_version" value="1"`)
	if got := seen.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a form may be cached: %q", got)
	}
	bob.post("/admin/blog/post/1/", post("1", "title", "Bob's", "sites", "2")...).want(t, http.StatusSeeOther)

	a := ada.post("/admin/blog/post/1/", post("1", "title", "Ada's", "body", "Longer")...)
	a.want(t, http.StatusConflict, "bob changed this", `value="Ada&#39;s"`, "Stored now:</strong> Bob&#39;s",
		"Longer</textarea>", "Stored now:</strong> Text", "Stored now:</strong> Subdomain2", `name="_version" value="2"`)
	if strings.Count(a.Body, "Stored now") != 3 {
		t.Errorf("fields that agree are shown as if they differed:\n%s", a.Body)
	}
	if got := p.query("SELECT title FROM blog_post"); got != "Bob's" {
		t.Errorf("the title is %q: bob was overwritten", got)
	}
	ada.post("/admin/blog/post/1/", post("2", "title", "Ada's")...).want(t, http.StatusSeeOther)
	if got := p.query("SELECT title FROM blog_post"); got != "Ada's" {
		t.Errorf("the title is %q: ada, who decided, was not saved", got)
	}
}

func TestAdmin_DeletesAfterConfirmation(t *testing.T) {
	t.Parallel()
	p, ada, bob := newEditors(t)
	p.load("polls_poll", row{"id": 1, "question": "Why?", "slug": "why", "opens_at": "2026-01-01T00:00:00Z"})
	p.load("polls_choice", row{"id": 1, "poll_id": 1, "text": "Because"}, row{"id": 2, "poll_id": 1, "text": "No reason"})

	ada.get("/admin/polls/poll/1/delete").want(t, http.StatusOK, "Delete “Why?”", "<strong>2 choices</strong> are deleted with it.", "cannot be undone")
	ada.get("/admin/auth/user/2/delete").want(t, http.StatusOK, "Delete “bob”")
	bob.post("/admin/polls/poll/1/", "_version", "1", "question", "Why not?", "slug", "why", "sites", "1", "opens_at", "2026-01-01T00:00").want(t, http.StatusSeeOther)
	ada.post("/admin/polls/poll/1/delete", "_version", "1").want(t, http.StatusConflict, "Somebody changed it", "Why not?", `value="2"`)
	ada.post("/admin/polls/poll/1/delete", "_version", "2").want(t, http.StatusSeeOther)
	if got := p.query("SELECT count(*) FROM polls_choice"); got != "0" {
		t.Errorf("%s choices are left", got)
	}
	ada.get("/admin/polls/poll/1/").want(t, http.StatusNotFound)
	ada.get("/admin/polls/poll/1/history").want(t, http.StatusOK, "History of “Why not?”", "ada deleted")

	ada.post("/admin/auth/user/1/delete", "_version", "1").want(t, http.StatusUnprocessableEntity, "There must be one active superuser left.")
	ada.get("/admin/").want(t, http.StatusOK) // still there
	ada.get("/admin/sites/site/1/delete").want(t, http.StatusNotFound)
	ada.post("/admin/sites/site/1/delete", "_version", "1").want(t, http.StatusNotFound)
	p.load("polls_poll", row{"id": 2, "question": "Why?", "slug": "why", "opens_at": "2026-01-01T00:00:00Z"})
	p.load("polls_choice", row{"id": 3, "poll_id": 2, "text": "Because"})
	p.load("polls_vote", row{"id": 1, "poll_id": 2, "choice_id": 3, "site_id": 1, "voter": "x", "voted_at": "2026-01-01T00:00:00Z"})
	ada.get("/admin/polls/vote/1/").want(t, http.StatusOK, "Because", "Subdomain1")
	ada.get("/admin/polls/vote/1/").lacks(t, "<input", "Delete")
	ada.post("/admin/polls/vote/1/", "_version", "1", "choice_id", "3").want(t, http.StatusNotFound)
	ada.post("/admin/polls/vote/1/delete", "_version", "1").want(t, http.StatusNotFound)
	ada.post("/admin/polls/vote/add").want(t, http.StatusNotFound) // votes are read only
}

func TestAdmin_ListSearchesSortsAndTurnsPages(t *testing.T) {
	t.Parallel()
	p, ada, _ := newEditors(t)
	var rows, onSites []row
	for i := 2; i <= 120; i++ {
		rows = append(rows, row{"id": i, "title": fmt.Sprintf("Post %03d", i), "slug": fmt.Sprintf("post-%d", i), "body": "100% of_it", "status": "draft",
			"published_at": "2026-01-01T00:00:00Z"})
		onSites = append(onSites, row{"post_id": i, "site_id": 2})
	}
	p.load("blog_post", rows...)
	p.load("blog_post_sites", onSites...)

	ada.get("/admin/blog/post/?sort=title").want(t, http.StatusOK, "120 posts", "Page 1 of 3", "First", "Post 050", `aria-sort="ascending"`)
	ada.get("/admin/blog/post/?sort=title").lacks(t, "Post 051")
	ada.get("/admin/blog/post/?sort=-title&page=3").want(t, http.StatusOK, "First", "Post 020", `rel="prev"`)
	ada.get("/admin/blog/post/?sort=-title&page=3").lacks(t, "Post 021", `rel="next"`)
	ada.get("/admin/blog/post/?sort=-sites").want(t, http.StatusOK, "Subdomain2")
	ada.get("/admin/blog/post/?page=4").want(t, http.StatusNotFound)
	ada.get("/admin/blog/post/?page=x").want(t, http.StatusNotFound)

	ada.get("/admin/blog/post/?q=07+post").want(t, http.StatusOK, "12 posts", "Post 007", "Post 079")
	ada.get("/admin/blog/post/?q=0%25+of_").want(t, http.StatusOK, "119 posts")
	ada.get("/admin/blog/post/?q=f%25it").want(t, http.StatusOK, "0 posts", "Nothing fits.")
	ada.get("/admin/blog/post/?q=o__it").want(t, http.StatusOK, "Nothing fits.")
	ada.get("/admin/blog/post/?q='%22--").want(t, http.StatusOK, "Nothing fits.")
	ada.get("/admin/blog/post/?sort=body;drop").want(t, http.StatusOK, "120 posts")
	ada.get("/admin/blog/post/?author_id=2").want(t, http.StatusOK, "0 posts", "Author: bob")
}

func TestAdmin_EditorsKeepTheirOwnSession(t *testing.T) {
	t.Parallel()
	_, ada, _ := newEditors(t)
	ada.post("/admin/auth/user/1/", "_version", "1", "username", "ada", "password", "short").
		want(t, http.StatusUnprocessableEntity, "A password has at least 10 characters.")
	a := ada.post("/admin/auth/user/1/", "_version", "1", "username", "ada", "password", "a longer password", "is_active", "1", "is_staff", "1", "is_superuser", "1")
	a.want(t, http.StatusSeeOther)
	ada.get("/admin/auth/user/1/history").want(t, http.StatusOK, "Password changed")
}
