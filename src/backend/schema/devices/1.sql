-- The machines that are let in, and the keys of their relays. Apart from the books: who loses those locks nobody out. Times are
-- milliseconds since 1970 (UTC).
CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    added_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    relay_key TEXT,                           -- the public key that its relay signs outcomes with
    relay_key_ms INTEGER,                     -- since when
    relay_key_by TEXT,                        -- who said so
    other_key TEXT,                           -- another one that it showed, which nobody has taken for good yet
    other_key_ms INTEGER,
    sum TEXT NOT NULL                         -- of all the others: SQLite does not see a bit that flipped inside a value
) STRICT;
-- A token that was revoked must not be good again because somebody handed the machine over once more.
CREATE TRIGGER devices_stay BEFORE DELETE ON devices BEGIN SELECT RAISE(ABORT, 'a machine is never forgotten'); END;
