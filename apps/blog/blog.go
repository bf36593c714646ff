// Package blog is a small blog. A post appears on the sites that are chosen for it in the
// admin, once it is published and its time has come.
//
// It is also an example of an app: this file describes the app, post.go reads its table,
// views.go answers requests, and templates/ and migrations/ have the rest.
package blog

import (
	"embed"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/sites"
)

//go:embed migrations
var migrations embed.FS

// App describes the app to a site.
func App() app.App {
	return app.App{
		Name:       "blog",
		Label:      "Blog",
		Needs:      []string{"sites", "auth"},
		Migrations: migrations,
		Models:     []model.Model{post},
		Routes:     routes,
	}
}

var post = model.Model{
	Name: "post", Label: "post", Plural: "posts", Table: "blog_post", Title: "title",
	Fields: []model.Field{
		{Name: "title", Label: "Title", Required: true},
		{Name: "slug", Label: "Slug", Kind: model.Slug, Required: true, Help: "The end of the post's address: small letters, digits and hyphens."},
		{Name: "body", Label: "Text", Kind: model.Long, Required: true,
			Help: "An empty line begins a paragraph, “## ” a heading, “- ” an item of a list, “> ” a quotation."},
		{Name: "sites", Label: "Sites", Kind: model.Many, Required: true, Refers: sites.Ref(),
			Through: model.Through{Table: "blog_post_sites", From: "post_id", To: "site_id"}},
		{Name: "status", Label: "Status", Kind: model.Choice, Required: true, Default: "draft",
			Choices: []model.Option{{Value: "draft", Label: "Draft"}, {Value: "published", Label: "Published"}}},
		{Name: "published_at", Label: "Published at", Kind: model.Moment, Required: true, Default: "now",
			Help: "A post appears when this time has come."},
		{Name: "author_id", Label: "Author", Kind: model.One, Refers: auth.Ref(), Default: "me"},
	},
	List:   []string{"title", "sites", "status", "published_at", "author_id"},
	Search: []string{"title", "body"},
	Order:  "published_at DESC, id DESC",
}
