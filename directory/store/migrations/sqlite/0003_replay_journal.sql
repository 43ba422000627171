-- What the one process that has the database for itself writes down of the
-- authenticators that it remembers, some at a time. until is the latest of a
-- row's entries, and entries has 24 bytes of each: half of the digest and its
-- until, big-endian.
CREATE TABLE replay_journal (
	id      INTEGER PRIMARY KEY,
	until   INTEGER NOT NULL,
	entries BLOB NOT NULL
);
