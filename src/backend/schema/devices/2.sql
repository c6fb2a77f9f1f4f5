-- Invitations of machines, by a code that is good once. Times are milliseconds since 1970 (UTC).
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
