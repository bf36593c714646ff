-- The user's name is kept beside the reference: the log outlives the user.
CREATE TABLE admin_log (
	id        INTEGER PRIMARY KEY,
	at        TEXT NOT NULL,
	user_id   INTEGER REFERENCES auth_user (id) ON DELETE SET NULL,
	username  TEXT NOT NULL,
	site_id   INTEGER NOT NULL,
	app       TEXT NOT NULL,
	model     TEXT NOT NULL,
	object_id INTEGER NOT NULL,
	object    TEXT NOT NULL,
	action    TEXT NOT NULL,
	changes   TEXT NOT NULL DEFAULT '',
	version   INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX admin_log_object ON admin_log (app, model, object_id);
CREATE INDEX admin_log_user ON admin_log (user_id);
