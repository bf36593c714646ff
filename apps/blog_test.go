package apps_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestBlog_ShowsWhatIsPublishedOnItsSite(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	post := func(id int, title, status, at string) row {
		return row{"id": id, "title": title, "slug": fmt.Sprint("p", id), "body": "About " + title, "status": status, "published_at": at}
	}
	p.load("blog_post", post(1, "Both", "published", "2026-01-01T00:00:00Z"), post(2, "One", "published", "2026-01-02T00:00:00Z"),
		post(3, "Draft", "draft", "2026-01-03T00:00:00Z"), post(4, "Soon", "published", soon))
	for id := 1; id <= 4; id++ {
		p.load("blog_post_sites", row{"post_id": id, "site_id": 1})
	}
	p.load("blog_post_sites", row{"post_id": 1, "site_id": 2})

	one, two := p.visitor(site1), p.visitor(site2)
	one.get("/").want(t, http.StatusOK, "Both", "One", "2 January 2026")
	one.get("/").lacks(t, "Draft", "Soon")
	two.get("/blog/").want(t, http.StatusOK, `href="/blog/p1"`)
	two.get("/blog/").lacks(t, "One")
	one.get("/p2").want(t, http.StatusOK, "About One")
	for path, v := range map[string]visitor{"/p3": one, "/p4": one, "/nope": one, "/blog/p2": two} {
		v.get(path).want(t, http.StatusNotFound)
	}
}

func TestBlog_TurnsPages(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for id := 1; id <= 21; id++ {
		p.load("blog_post", row{"id": id, "title": fmt.Sprintf("Post %02d", id), "slug": fmt.Sprint("p", id), "body": "x", "status": "published",
			"published_at": fmt.Sprintf("2026-01-%02dT00:00:00Z", id)})
		p.load("blog_post_sites", row{"post_id": id, "site_id": 1})
	}
	v := p.visitor(site1)
	v.get("/").want(t, http.StatusOK, "Post 21", "Post 12", `rel="next" href="/?page=2"`)
	v.get("/").lacks(t, "Post 11", `rel="prev"`)
	v.get("/?page=2").want(t, http.StatusOK, "Post 11", "Post 02", `href="/?page=3"`, `rel="prev" href="/"`)
	v.get("/?page=3").want(t, http.StatusOK, "Post 01")
	v.get("/?page=3").lacks(t, `rel="next"`)
	v.get("/?page=4").want(t, http.StatusNotFound)
	v.get("/?page=-1").want(t, http.StatusNotFound)
}

func TestBlog_Feed(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.load("blog_post", row{"id": 1, "title": "A & B", "slug": "ab", "body": "First.\n\nSecond.", "status": "published", "published_at": "2026-01-01T00:00:00Z"})
	p.load("blog_post_sites", row{"post_id": 1, "site_id": 2})
	a := p.visitor("https://subdomain2.localhost").get("/blog/feed.xml")
	a.want(t, http.StatusOK)
	var feed struct {
		Title   string `xml:"title"`
		Entries []struct {
			Title   string `xml:"title"`
			Summary string `xml:"summary"`
			Link    struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal([]byte(a.Body), &feed); err != nil {
		t.Fatal(err)
	}
	if feed.Title != "Subdomain2" || len(feed.Entries) != 1 {
		t.Fatalf("got %+v", feed)
	}
	entry := feed.Entries[0]
	if entry.Title != "A & B" || entry.Summary != "First." || entry.Link.Href != "https://subdomain2.localhost/blog/ab" {
		t.Errorf("got %+v", entry)
	}
}
