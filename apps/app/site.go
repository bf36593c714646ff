package app

import "context"

// Site is a site as its row in the database describes it.
type Site struct {
	ID     int64
	Domain string
	Name   string
}

type siteKey struct{}

// WithSite returns a context with the site of a request.
func WithSite(ctx context.Context, site Site) context.Context {
	return context.WithValue(ctx, siteKey{}, site)
}

// CurrentSite returns the site of a request; its ID is 0 if it is not known yet.
func CurrentSite(ctx context.Context) Site {
	site, _ := ctx.Value(siteKey{}).(Site)
	return site
}
