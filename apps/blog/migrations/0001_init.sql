CREATE TABLE blog_post (
	id           INTEGER PRIMARY KEY,
	title        TEXT NOT NULL,
	slug         TEXT NOT NULL UNIQUE,
	body         TEXT NOT NULL,
	status       TEXT NOT NULL DEFAULT 'draft',
	published_at TEXT NOT NULL,
	author_id    INTEGER REFERENCES auth_user (id) ON DELETE SET NULL,
	version      INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX blog_post_published ON blog_post (status, published_at);
CREATE INDEX blog_post_author ON blog_post (author_id);

CREATE TABLE blog_post_sites (
	post_id INTEGER NOT NULL REFERENCES blog_post (id) ON DELETE CASCADE,
	site_id INTEGER NOT NULL REFERENCES sites_site (id) ON DELETE CASCADE,
	PRIMARY KEY (post_id, site_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX blog_post_sites_site ON blog_post_sites (site_id);
