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
-- A token that was revoked is never good again.
CREATE TRIGGER devices_stay BEFORE DELETE ON devices BEGIN SELECT RAISE(ABORT, 'a machine is never forgotten'); END;

-- Invitations of machines, by a code that is good once.
CREATE TABLE invitations (
    device TEXT PRIMARY KEY,
    code_hash TEXT NOT NULL,                  -- of the code and of all that it was made for: after a flipped bit it is a wrong code
    until_ms INTEGER NOT NULL,                -- the code is good until then
    terms TEXT NOT NULL,                      -- what its machine is told, without secrets, as JSON
    token_hash TEXT,                          -- of the token that was given for it last
    used_ms INTEGER                           -- when its machine has shown the key of its relay: the code is void since then
) STRICT;
-- The accounts of machines that were made at the broker.
CREATE TABLE accounts (
    device TEXT PRIMARY KEY,
    ended_ms INTEGER                          -- when the broker was told that it is over
) STRICT;

-- Whether each machine is there, and what it says of itself at the broker. This is news for `device list`, written now and then.
CREATE TABLE presence (
    device TEXT PRIMARY KEY,
    is_there INTEGER,                         -- by the backend's own sense; NULL: it does not know yet
    since_ms INTEGER,                         -- since when it is there, or is not
    off_ms INTEGER,                           -- since when the broker says that it is off; 0: it does not; NULL: it has said nothing
    name TEXT,                                -- what people call it
    version TEXT,                             -- the release of its program
    faults TEXT,                              -- the codes, with blanks between them
    blocked TEXT,                             -- the goods whose lines are blocked; empty: none
    offered TEXT,                             -- the request that its screen offered another try of last
    offered_ms INTEGER,                       -- when that began
    silent TEXT                               -- its topics that do not get through at the broker, with blanks between them
) STRICT;

-- What is known of each machine's computer, to see when two computers are one machine.
CREATE TABLE twins (
    device TEXT PRIMARY KEY,
    known TEXT NOT NULL,                      -- its last starts and newest events, with addresses and times, as JSON
    sum TEXT NOT NULL                         -- of `known`
) STRICT;

-- What lies in each machine's slots, as it said last at the broker. News, as `presence` is.
CREATE TABLE stock (
    device TEXT PRIMARY KEY,
    stream TEXT NOT NULL,                     -- the life of the machine's database
    number INTEGER NOT NULL,                  -- that of the message in it: an older one says nothing
    at_ms INTEGER,                            -- when it said this; NULL where nobody knows
    low INTEGER NOT NULL,                     -- so many slots are low, or will be empty in some days
    sold_out INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    blocked INTEGER NOT NULL,                 -- so many are not sold until a person looks at their line
    price INTEGER NOT NULL,                   -- so many are not sold because nothing takes their prices
    uncounted INTEGER NOT NULL,               -- nobody knows what is in so many
    low_of TEXT,                              -- the goods of the first slot that is low, or will be empty in some days
    out_of TEXT,                              -- of the first that is sold out
    suspect_of TEXT,                          -- of the first of which nothing came out
    blocked_of TEXT,                          -- of the first whose line is blocked
    price_of TEXT,                            -- of the first whose price nothing takes
    uncounted_of TEXT,                        -- of the first that nobody has counted
    slots TEXT NOT NULL                       -- all of them, as JSON
) STRICT;
CREATE INDEX stock_wanting ON stock (device) WHERE low + sold_out + suspect + blocked + price + uncounted > 0;
-- Requests that machines refused because nothing was left.
CREATE TABLE refused (
    day TEXT NOT NULL,                        -- 2026-11-20, in the merchant's zone
    device TEXT NOT NULL,
    item TEXT NOT NULL,
    goods TEXT NOT NULL,                      -- what people call it
    number INTEGER NOT NULL,
    PRIMARY KEY (day, device, item)
) STRICT;
