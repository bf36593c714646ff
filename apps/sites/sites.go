// Package sites has the domain and name of each site, and puts the site into the context
// of every request.
//
// The row of a site is made when the site first starts. Administrators can change it in
// the admin, and every worker reads it with each request.
package sites

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

//go:embed migrations
var migrations embed.FS

// App describes the app to a site.
func App() app.App {
	return app.App{
		Name:       "sites",
		Migrations: migrations,
		Wrap:       wrap,
		Models: []model.Model{{
			Name: "site", Label: "site", Plural: "sites", Table: "sites_site", Title: "name", Superuser: true, NoDelete: true,
			Fields: []model.Field{
				{Name: "id", Label: "Site ID", Kind: model.Integer, ReadOnly: true},
				{Name: "domain", Label: "Domain", Required: true, Encode: encodeDomain, Help: "Without http:// and without a path."},
				{Name: "name", Label: "Name", Required: true, Help: "Stands at the top of every page of the site."},
			},
			List: []string{"name", "domain", "id"}, Search: []string{"name", "domain"}, Order: "id",
		}},
	}
}

// Ref returns how a model of another app refers to a site.
func Ref() model.Ref { return model.Ref{Table: "sites_site", Title: "name"} }

func wrap(env *app.Env, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site, err := load(r.Context(), env)
		if err != nil {
			env.Pages.Fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(app.WithSite(r.Context(), site)))
	})
}

func load(ctx context.Context, env *app.Env) (app.Site, error) {
	site := app.Site{ID: env.SiteID}
	err := env.DB.QueryRowContext(ctx, "SELECT domain, name FROM sites_site WHERE id = ?", site.ID).Scan(&site.Domain, &site.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return site, page.Problem{Status: http.StatusServiceUnavailable, Text: "This site was removed from its database."}
	}
	if err != nil {
		return site, fmt.Errorf("read site %d: %w", site.ID, err)
	}
	return site, nil
}

// Ensure adds the row of a site if it is missing.
func Ensure(ctx context.Context, d *db.DB, id int64, domain string) error {
	var known bool
	if err := d.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sites_site WHERE id = ?)", id).Scan(&known); err != nil || known {
		return err // known: do not wait for other writers
	}
	label, _, _ := strings.Cut(domain, ".")
	name := strings.ToUpper(label[:1]) + label[1:]
	// OR IGNORE: if another site has the domain, the row gets a longer one, which the
	// administrators may change.
	for _, free := range []string{domain, fmt.Sprintf("site%d.%s", id, domain)} {
		_, err := d.ExecContext(ctx, "INSERT OR IGNORE INTO sites_site (id, domain, name) VALUES (?, ?, ?)", id, free, name)
		if err != nil {
			return fmt.Errorf("add site %d: %w", id, err)
		}
	}
	return nil
}

func encodeDomain(entered string) (string, error) {
	if strings.ContainsAny(entered, "/:@ ") {
		return "", errors.New("write only the domain, like www.example.com")
	}
	return strings.ToLower(entered), nil
}
