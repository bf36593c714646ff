package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var csrfToken = regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`)

// adminOnBothSites logs in on both sites, adds an article on the second and reads it on
// the first.
func adminOnBothSites(t *testing.T, r *running) {
	v := r.newVisitor()
	for _, host := range []string{host1, host2} {
		page := v.submit(host, "/admin/login/?next=/admin/", url.Values{"username": {"admin"}, "password": {"admin"}})
		if page.status != 200 || !strings.Contains(page.body, "Site administration") {
			t.Fatalf("%s: after the login: status %d\n%s", host, page.status, page.body)
		}
		for _, model := range []string{"articles/article", "events/event"} {
			if !strings.Contains(page.body, "/admin/"+model+"/add/") {
				t.Errorf("%s: the admin has no %s", host, model)
			}
		}
	}
	page := v.submit(host2, "/admin/articles/article/add/", url.Values{
		"title": {"Crème brûlée <3"}, "body": {"Grüße, 世界 & more"},
		"published_0": {"2026-07-04"}, "published_1": {"12:00:00"},
	})
	if !strings.Contains(page.body, "was added successfully") {
		t.Fatalf("add an article: status %d\n%s", page.status, page.body)
	}
	const want = "<li>Crème brûlée &lt;3: Grüße, 世界 &amp; more</li>"
	if page := r.get(host1, "/"); !strings.Contains(page.body, want) {
		t.Errorf("%s does not show %q:\n%s", host1, want, page.body)
	}
	stranger := r.newVisitor().submit(host1, "/admin/login/?next=/admin/", url.Values{"username": {"admin"}, "password": {"guess"}})
	if strings.Contains(stranger.body, "Site administration") || !strings.Contains(stranger.body, "Please enter the correct") {
		t.Errorf("a wrong password: status %d\n%s", stranger.status, stranger.body)
	}
}

// submit opens the form at path and sends it with the values.
func (v *visitor) submit(host, path string, values url.Values) answer {
	v.t.Helper()
	form := v.get(host, path)
	token := csrfToken.FindStringSubmatch(form.body)
	if token == nil {
		v.t.Fatalf("%s%s: status %d, no form:\n%s", host, path, form.status, form.body)
	}
	values.Set("csrfmiddlewaretoken", token[1])
	req := newRequest(v.t, http.MethodPost, host, path, strings.NewReader(values.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := v.do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	return a
}
