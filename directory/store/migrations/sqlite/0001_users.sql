-- Times are microseconds since 1970 in UTC:
-- datetime(created / 1000000, 'unixepoch') shows
-- one. The zero time, "never", is the negative number that Go has for it.

CREATE TABLE users (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	version      INTEGER NOT NULL,
	realm        TEXT NOT NULL,
	name         TEXT NOT NULL,
	name_fold    TEXT NOT NULL UNIQUE,
	sid          TEXT UNIQUE, -- NULL: none
	upn          TEXT NOT NULL,
	dn           TEXT NOT NULL,
	display_name TEXT NOT NULL,
	email        TEXT NOT NULL,
	phone        TEXT NOT NULL,
	password     TEXT NOT NULL, -- a hash in the form of the PHC
	local_admin  BOOLEAN NOT NULL,
	state        INTEGER NOT NULL,
	created      INTEGER NOT NULL,
	refreshed    INTEGER NOT NULL,
	last_login   INTEGER NOT NULL
);

-- A group is named once and shared by its members. Rows are never removed nor
-- changed.
CREATE TABLE group_names (
	id   INTEGER PRIMARY KEY AUTOINCREMENT,
	sid  TEXT NOT NULL,
	name TEXT NOT NULL,
	UNIQUE (sid, name)
);

-- Without foreign keys, which make an import take three times as long. Who writes
-- here has written the row of the user before, in the same transaction.
CREATE TABLE user_groups (
	user_id  INTEGER NOT NULL,
	group_id INTEGER NOT NULL,
	PRIMARY KEY (user_id, group_id)
) WITHOUT ROWID;

CREATE TABLE user_roles (
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	role    TEXT NOT NULL,
	PRIMARY KEY (user_id, role)
) WITHOUT ROWID;

CREATE TABLE sessions (
	id         BLOB PRIMARY KEY, -- SHA-256 of what the browser has
	user_name  TEXT NOT NULL,
	user_fold  TEXT NOT NULL,
	data       BLOB NOT NULL,
	created    INTEGER NOT NULL,
	seen       INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	idle       INTEGER NOT NULL, -- microseconds; 0: no limit
	remember   BOOLEAN NOT NULL,
	peer       TEXT NOT NULL,
	user_agent TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_fold);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE failures (
	who TEXT NOT NULL,
	at  INTEGER NOT NULL
);
CREATE INDEX failures_who ON failures (who, at);
CREATE INDEX failures_at ON failures (at);

CREATE TABLE blocks (
	who      TEXT PRIMARY KEY,
	failures INTEGER NOT NULL,
	begun    INTEGER NOT NULL,
	until    INTEGER NOT NULL
);

CREATE TABLE logins (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	at         INTEGER NOT NULL,
	ref        TEXT NOT NULL,
	realm      TEXT NOT NULL,
	user_name  TEXT NOT NULL,
	user_fold  TEXT NOT NULL,
	sid        TEXT NOT NULL,
	mechanism  TEXT NOT NULL,
	peer       TEXT NOT NULL,
	user_agent TEXT NOT NULL,
	outcome    TEXT NOT NULL,
	reason     TEXT NOT NULL,
	detail     TEXT NOT NULL
);
CREATE INDEX logins_at ON logins (at, id);
CREATE INDEX logins_user ON logins (user_fold, at, id);
CREATE INDEX logins_peer ON logins (peer, at, id);

CREATE TABLE notes (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

-- Authenticators that were used. They are not written to the disk at once, so a
-- loss of power forgets some: replay_mark knows the boot of the machine that
-- they are of.
CREATE TABLE replays (
	digest BLOB PRIMARY KEY,
	until  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX replays_until ON replays (until);

CREATE TABLE replay_mark (boot TEXT NOT NULL);
INSERT INTO replay_mark VALUES ('');

-- What ends before floor may have been forgotten. Nothing that was remembered
-- ends after horizon.
CREATE TABLE replay_state (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	floor   INTEGER NOT NULL,
	horizon INTEGER NOT NULL
);
INSERT INTO replay_state VALUES (1, 0, 0);
