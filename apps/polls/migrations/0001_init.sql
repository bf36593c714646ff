CREATE TABLE polls_poll (
	id        INTEGER PRIMARY KEY,
	question  TEXT NOT NULL,
	slug      TEXT NOT NULL UNIQUE,
	opens_at  TEXT NOT NULL,
	closes_at TEXT,
	version   INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE polls_poll_sites (
	poll_id INTEGER NOT NULL REFERENCES polls_poll (id) ON DELETE CASCADE,
	site_id INTEGER NOT NULL REFERENCES sites_site (id) ON DELETE CASCADE,
	PRIMARY KEY (poll_id, site_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX polls_poll_sites_site ON polls_poll_sites (site_id);

CREATE TABLE polls_choice (
	id       INTEGER PRIMARY KEY,
	poll_id  INTEGER NOT NULL REFERENCES polls_poll (id) ON DELETE CASCADE,
	text     TEXT NOT NULL,
	position INTEGER NOT NULL DEFAULT 0,
	version  INTEGER NOT NULL DEFAULT 1,
	UNIQUE (poll_id, id)
) STRICT;

-- A vote's choice is always one of its own poll, and a voter has one vote.
CREATE TABLE polls_vote (
	id        INTEGER PRIMARY KEY,
	poll_id   INTEGER NOT NULL,
	choice_id INTEGER NOT NULL,
	site_id   INTEGER NOT NULL REFERENCES sites_site (id) ON DELETE CASCADE,
	voter     TEXT NOT NULL,
	voted_at  TEXT NOT NULL,
	version   INTEGER NOT NULL DEFAULT 1,
	UNIQUE (poll_id, voter),
	FOREIGN KEY (poll_id, choice_id) REFERENCES polls_choice (poll_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX polls_vote_choice ON polls_vote (choice_id);
CREATE INDEX polls_vote_site ON polls_vote (site_id);
