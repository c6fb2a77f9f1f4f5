-- What is known of each machine's computer, to see when two computers are one machine.
CREATE TABLE twins (
    device TEXT PRIMARY KEY,
    known TEXT NOT NULL,                      -- its last starts and newest events, with addresses and times, as JSON
    sum TEXT NOT NULL                         -- of `known`
) STRICT;
