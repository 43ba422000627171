-- What administrators need: second factors, who a user is to an external
-- provider, what providers gave with sessions, what was changed by whom, counts
-- over time, and configurations that were in force.

ALTER TABLE users ADD COLUMN subject TEXT; -- issuer and sub; NULL: none
ALTER TABLE users ADD COLUMN second_factor TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN recovery_codes TEXT NOT NULL DEFAULT ''; -- JSON, hashes
ALTER TABLE users ADD COLUMN account_fold TEXT NOT NULL DEFAULT ''; -- what follows the domain; empty: no domain
ALTER TABLE users ADD COLUMN display_fold TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email_fold TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX users_subject ON users (subject);

-- How many users there are, for whom SQLite would read an index from end to end.
-- Who adds or removes one says so here: a trigger makes an import take twice as
-- long.
CREATE TABLE user_total (n INTEGER NOT NULL);
INSERT INTO user_total SELECT COUNT(*) FROM users;

-- That of the user, so that the users with a role are found in the order of their
-- names.
ALTER TABLE user_roles ADD COLUMN name_fold TEXT NOT NULL DEFAULT '';

ALTER TABLE sessions ADD COLUMN grant_provider TEXT NOT NULL DEFAULT ''; -- empty: no grant
ALTER TABLE sessions ADD COLUMN grant_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN grant_session TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN grant_sealed BLOB;
ALTER TABLE sessions ADD COLUMN grant_due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN grant_busy INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_created ON sessions (created, id) WHERE user_fold >= ' ';
CREATE INDEX sessions_user_created ON sessions (user_fold, created, id);
DROP INDEX sessions_user;
CREATE INDEX sessions_grant_subject ON sessions (grant_provider, grant_subject) WHERE grant_provider <> '';
CREATE INDEX sessions_grant_session ON sessions (grant_provider, grant_session) WHERE grant_session <> '';

CREATE TABLE changes (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	at          INTEGER NOT NULL,
	ref         TEXT NOT NULL,
	actor       TEXT NOT NULL,
	actor_fold  TEXT NOT NULL,
	peer        TEXT NOT NULL,
	action      TEXT NOT NULL,
	area        TEXT NOT NULL, -- what action has before its first dot
	target      TEXT NOT NULL,
	target_fold TEXT NOT NULL,
	before      TEXT NOT NULL, -- JSON, as after
	after       TEXT NOT NULL
);
CREATE INDEX changes_at ON changes (at, id);
CREATE INDEX changes_actor ON changes (actor_fold, at, id);
CREATE INDEX changes_target ON changes (target_fold, at, id);
CREATE INDEX changes_area ON changes (area, at, id);
CREATE INDEX changes_action ON changes (action, at, id);

-- How often something happened, by five minutes, and the same again by hour, by
-- six hours and by day.
CREATE TABLE counts (
	span      INTEGER NOT NULL, -- seconds
	at        INTEGER NOT NULL, -- when they began
	kind      TEXT NOT NULL,
	mechanism TEXT NOT NULL,
	outcome   TEXT NOT NULL,
	n         INTEGER NOT NULL,
	PRIMARY KEY (span, at, kind, mechanism, outcome)
) WITHOUT ROWID;

CREATE TABLE configs (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	at      INTEGER NOT NULL,
	actor   TEXT NOT NULL,
	comment TEXT NOT NULL,
	node    TEXT NOT NULL,
	digest  TEXT NOT NULL,
	files   TEXT NOT NULL -- JSON
);
CREATE INDEX configs_node ON configs (node, id);
