package app

import "context"

// Site is the site a request is for, as its administrators named it.
type Site struct {
	ID     int64
	Domain string
	Name   string
}

type siteKey struct{}

// WithSite returns a context that carries the site of a request.
func WithSite(ctx context.Context, site Site) context.Context {
	return context.WithValue(ctx, siteKey{}, site)
}

// CurrentSite returns the site a request is for.
func CurrentSite(ctx context.Context) Site {
	site, _ := ctx.Value(siteKey{}).(Site)
	return site
}
