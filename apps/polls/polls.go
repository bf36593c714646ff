// Package polls asks visitors questions and counts their answers. A poll appears on the
// sites that are chosen for it; votes on all of them count together.
package polls

import (
	"embed"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/sites"
)

//go:embed migrations
var migrations embed.FS

// App describes the app to a site.
func App() app.App {
	return app.App{
		Name:       "polls",
		Label:      "Polls",
		Needs:      []string{"sites", "sessions", "messages", "auth"},
		Migrations: migrations,
		Models:     []model.Model{poll, choice, vote},
		Routes:     routes,
	}
}

var (
	refersPoll   = model.Ref{Table: "polls_poll", Title: "question"}
	refersChoice = model.Ref{Table: "polls_choice", Title: "text"}
)

var poll = model.Model{
	Name: "poll", Label: "poll", Plural: "polls", Table: "polls_poll", Title: "question",
	Fields: []model.Field{
		{Name: "question", Label: "Question", Required: true},
		{Name: "slug", Label: "Slug", Kind: model.Slug, Required: true, Help: "The end of the poll's address: small letters, digits and hyphens."},
		{Name: "sites", Label: "Sites", Kind: model.Many, Required: true, Refers: sites.Ref(),
			Through: model.Through{Table: "polls_poll_sites", From: "poll_id", To: "site_id"}},
		{Name: "opens_at", Label: "Opens at", Kind: model.Moment, Required: true, Default: "now"},
		{Name: "closes_at", Label: "Closes at", Kind: model.Moment, Help: "Empty: it stays open."},
		{Name: "votes", Label: "Votes", Kind: model.Integer, Expr: "SELECT count(*) FROM polls_vote WHERE poll_id = polls_poll.id"},
	},
	List: []string{"question", "sites", "opens_at", "closes_at", "votes"}, Search: []string{"question"}, Order: "opens_at DESC, id DESC",
}

var choice = model.Model{
	Name: "choice", Label: "choice", Plural: "choices", Table: "polls_choice", Title: "text",
	Fields: []model.Field{
		{Name: "poll_id", Label: "Poll", Kind: model.One, Required: true, Refers: refersPoll},
		{Name: "text", Label: "Answer", Required: true},
		{Name: "position", Label: "Position", Kind: model.Integer, Required: true, Default: "0", Help: "Answers stand in this order."},
		{Name: "votes", Label: "Votes", Kind: model.Integer, Expr: "SELECT count(*) FROM polls_vote WHERE choice_id = polls_choice.id"},
	},
	List: []string{"text", "poll_id", "position", "votes"}, Search: []string{"text"}, Order: "poll_id DESC, position, id",
}

var vote = model.Model{
	Name: "vote", Label: "vote", Plural: "votes", Table: "polls_vote", Title: "'vote ' || id", ReadOnly: true,
	Fields: []model.Field{
		{Name: "choice_id", Label: "Answer", Kind: model.One, Refers: refersChoice},
		{Name: "poll_id", Label: "Poll", Kind: model.One, Refers: refersPoll},
		{Name: "site_id", Label: "Site", Kind: model.One, Refers: sites.Ref()},
		{Name: "voted_at", Label: "Voted at", Kind: model.Moment},
	},
	List: []string{"choice_id", "poll_id", "site_id", "voted_at"}, Order: "voted_at DESC, id DESC",
}
