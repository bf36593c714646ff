CREATE TABLE sessions_session (
	token      TEXT PRIMARY KEY,
	site_id    INTEGER NOT NULL,
	data       BLOB NOT NULL,
	expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_expires ON sessions_session (expires_at);
