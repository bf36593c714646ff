CREATE TABLE auth_user (
	id            INTEGER PRIMARY KEY,
	username      TEXT NOT NULL COLLATE NOCASE UNIQUE,
	email         TEXT NOT NULL DEFAULT '',
	password      TEXT NOT NULL,
	is_active     INTEGER NOT NULL DEFAULT 1,
	is_staff      INTEGER NOT NULL DEFAULT 0,
	is_superuser  INTEGER NOT NULL DEFAULT 0,
	joined_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
	last_login_at TEXT,
	version       INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE auth_attempt (
	id       INTEGER PRIMARY KEY,
	at       TEXT NOT NULL,
	username TEXT NOT NULL COLLATE NOCASE,
	address  TEXT NOT NULL
) STRICT;

CREATE INDEX auth_attempt_at ON auth_attempt (at);
