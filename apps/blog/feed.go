package blog

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"time"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/db"
)

// feed is an Atom feed (RFC 4287) of the latest posts.
type feed struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	Title   string   `xml:"title"`
	ID      string   `xml:"id"`
	Link    link     `xml:"link"`
	Updated string   `xml:"updated"`
	Entries []entry  `xml:"entry"`
}

type link struct {
	Href string `xml:"href,attr"`
}

type entry struct {
	Title   string `xml:"title"`
	ID      string `xml:"id"`
	Link    link   `xml:"link"`
	Updated string `xml:"updated"`
	Author  string `xml:"author>name"`
	Summary string `xml:"summary"`
}

func (v views) feed(w http.ResponseWriter, r *http.Request) error {
	posts, err := latest(r.Context(), v.env.DB, v.env.SiteID, perPage, 0)
	if err != nil {
		return err
	}
	site := app.CurrentSite(r.Context())
	base := "http://" + r.Host + v.env.Path("blog", "")
	if app.IsHTTPS(r) {
		base = "https" + base[len("http"):]
	}
	out := feed{Title: site.Name, ID: base, Link: link{base}, Updated: db.Now().Format(time.RFC3339)}
	if len(posts) > 0 {
		out.Updated = posts[0].Published.Format(time.RFC3339)
	}
	for _, p := range posts {
		out.Entries = append(out.Entries, entry{
			Title: p.Title, ID: base + p.Slug, Link: link{base + p.Slug}, Summary: p.Body.Summary(),
			Updated: p.Published.Format(time.RFC3339), Author: cmp.Or(p.Author, site.Name),
		})
	}
	body, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("write feed: %w", err)
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	_, _ = fmt.Fprintf(w, "%s%s\n", xml.Header, body) // it fails if the client has closed the connection
	return nil
}
