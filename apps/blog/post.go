package blog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/page"
)

// Post is one article as visitors see it.
type Post struct {
	Title     string
	Slug      string
	Body      Text
	Author    string // "" if it has none, or the user was deleted
	Published db.Time
}

// visible selects the posts of a site that visitors may see. Its parameters are the site
// and the time.
const visible = `
	SELECT p.title, p.slug, p.body, coalesce(u.username, ''), p.published_at
	FROM blog_post p
	JOIN blog_post_sites s ON s.post_id = p.id AND s.site_id = ?
	LEFT JOIN auth_user u ON u.id = p.author_id
	WHERE p.status = 'published' AND p.published_at <= ?`

// latest returns up to limit posts of a site, newest first.
func latest(ctx context.Context, d *db.DB, site int64, limit, offset int) ([]Post, error) {
	posts, err := db.Collect(ctx, d, scan,
		visible+" ORDER BY p.published_at DESC, p.id DESC LIMIT ? OFFSET ?", site, db.Now(), limit, offset)
	if err != nil {
		return nil, fmt.Errorf("list posts: %w", err)
	}
	return posts, nil
}

// bySlug returns a post of a site, or page.ErrNotFound.
func bySlug(ctx context.Context, d *db.DB, site int64, slug string) (Post, error) {
	post, err := scan(d.QueryRowContext(ctx, visible+" AND p.slug = ?", site, db.Now(), slug).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return post, page.ErrNotFound
	}
	if err != nil {
		return post, fmt.Errorf("read post: %w", err)
	}
	return post, nil
}

func scan(row func(...any) error) (Post, error) {
	var p Post
	err := row(&p.Title, &p.Slug, &p.Body, &p.Author, &p.Published)
	return p, err
}
