-- What the relay promised, and what it drove. Rows only go forward; what must never happen is refused here too, whatever
-- the program believes. `sum` is a checksum of the row, made before it is written and checked when it is read.

-- A ticket becomes used or closed, and then nothing more.
CREATE TABLE tickets (
    seq      INTEGER PRIMARY KEY,
    ticket   TEXT NOT NULL UNIQUE,
    item     TEXT NOT NULL,
    amount   INTEGER NOT NULL CHECK (amount > 0),
    state    TEXT NOT NULL CHECK (state IN ('open', 'used', 'closed')),
    order_id TEXT,                            -- of a first try only once it is used: before that, anybody may pay for it
    try      INTEGER NOT NULL CHECK (try BETWEEN 1 AND 9),
    after    TEXT,                            -- the ticket of the try before
    number   INTEGER,                         -- counts the tickets that have left `open`, in the order in which they did
    sum      TEXT NOT NULL,
    CHECK ((try > 1) = (after IS NOT NULL) AND (try > 1 OR state = 'used') = (order_id IS NOT NULL))
) STRICT;

CREATE TRIGGER tickets_begin_open BEFORE INSERT ON tickets WHEN new.state <> 'open'
BEGIN SELECT RAISE(ABORT, 'a ticket begins open'); END;
CREATE TRIGGER tickets_go_forward BEFORE UPDATE ON tickets
WHEN old.state <> 'open' OR new.state = 'open' OR new.number IS NULL OR old.number IS NOT NULL OR new.seq <> old.seq
    OR new.ticket <> old.ticket OR new.item <> old.item OR new.amount <> old.amount OR new.try <> old.try OR new.after IS NOT old.after
    OR new.order_id <> old.order_id
BEGIN SELECT RAISE(ABORT, 'a ticket is used or closed once, and nothing else of it changes'); END;
CREATE TRIGGER tickets_open_stay BEFORE DELETE ON tickets WHEN old.state = 'open'
BEGIN SELECT RAISE(ABORT, 'an open ticket is never deleted'); END;

-- At most one pulse for a ticket, and for a try at an order, a request and a transaction; and one for an operator's test, which is none of these and has
-- the name of its command. `outcome` is NULL while the line is driven.
CREATE TABLE pulses (
    seq            INTEGER PRIMARY KEY,
    order_id       TEXT,
    try            INTEGER CHECK (try BETWEEN 1 AND 9),
    ticket         TEXT UNIQUE REFERENCES tickets (ticket),
    request_id     TEXT,
    transaction_id TEXT,
    jti            TEXT UNIQUE,
    line           TEXT NOT NULL,
    item           TEXT NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount > 0),
    outcome        TEXT CHECK (outcome IN ('dispensed', 'failed', 'not_driven', 'uncertain')),
    detail         TEXT NOT NULL,
    digest         BLOB CHECK (length(digest) = 16), -- of `order_id`; kept for ever when the row is dropped
    sum            TEXT NOT NULL,
    UNIQUE (order_id, try), UNIQUE (request_id, try), UNIQUE (transaction_id, try),
    CHECK ((jti IS NULL) = (order_id IS NOT NULL) AND (order_id IS NULL) = (ticket IS NULL) AND (order_id IS NULL) = (request_id IS NULL)
        AND (order_id IS NULL) = (transaction_id IS NULL) AND (order_id IS NULL) = (try IS NULL) AND (order_id IS NULL) = (digest IS NULL))
) STRICT;

-- A line does one thing at a time.
CREATE UNIQUE INDEX pulses_driving ON pulses (line) WHERE outcome IS NULL;

CREATE TRIGGER pulses_begin_with_a_ticket BEFORE INSERT ON pulses
WHEN new.outcome IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM tickets WHERE ticket = new.ticket AND state = 'used' AND order_id = new.order_id AND try = new.try AND item = new.item
        AND amount = new.amount
    UNION ALL SELECT 1 FROM commands WHERE jti = new.jti)
BEGIN SELECT RAISE(ABORT, 'a pulse begins with its ticket used for it or its command remembered, and without an outcome'); END;
-- An order is handed out once. Another try comes after one that came to nothing: its ticket was closed, or a sensor saw that nothing fell.
CREATE TRIGGER pulses_again_after_nothing BEFORE INSERT ON pulses
WHEN EXISTS (
    SELECT 1 FROM pulses WHERE (order_id = new.order_id OR request_id = new.request_id OR transaction_id = new.transaction_id)
        AND (try >= new.try OR outcome IS NULL OR outcome IN ('dispensed', 'uncertain') OR order_id <> new.order_id))
    OR new.try > 1 AND NOT EXISTS (
    SELECT 1 FROM tickets AS this JOIN tickets AS before ON before.ticket = this.after LEFT JOIN pulses ON pulses.ticket = before.ticket
        WHERE this.ticket = new.ticket AND before.try = new.try - 1 AND coalesce(before.order_id, new.order_id) = new.order_id
            AND (before.state = 'closed' OR pulses.outcome = 'failed'))
    OR EXISTS (SELECT 1 FROM dropped WHERE digest = new.digest)
BEGIN SELECT RAISE(ABORT, 'another try begins after one that came to nothing'); END;
CREATE TRIGGER pulses_end_once BEFORE UPDATE ON pulses
WHEN old.outcome IS NOT NULL OR new.outcome IS NULL OR new.seq <> old.seq OR new.order_id IS NOT old.order_id
    OR new.try IS NOT old.try OR new.ticket IS NOT old.ticket OR new.request_id IS NOT old.request_id OR new.transaction_id IS NOT old.transaction_id
    OR new.jti IS NOT old.jti OR new.line <> old.line OR new.item <> old.item OR new.amount <> old.amount OR new.digest IS NOT old.digest
BEGIN SELECT RAISE(ABORT, 'a pulse gets its outcome once, and nothing else of it changes'); END;
CREATE TRIGGER pulses_driving_stay BEFORE DELETE ON pulses WHEN old.outcome IS NULL
BEGIN SELECT RAISE(ABORT, 'a pulse without an outcome is never deleted'); END;

-- The orders of pulses that were dropped: 128 bits of SHA-256 of each id. No try at such an order is promised or driven any more.
-- They have no checksum: 16 bytes an order are all that grows for ever. The check at each start compares their sequence.
CREATE TABLE dropped (digest BLOB PRIMARY KEY CHECK (length(digest) = 16)) STRICT, WITHOUT ROWID;

CREATE TRIGGER pulses_drop_to_a_digest BEFORE DELETE ON pulses WHEN old.order_id IS NOT NULL
BEGIN INSERT INTO dropped VALUES (old.digest) ON CONFLICT DO NOTHING; END;
CREATE TRIGGER dropped_stay BEFORE DELETE ON dropped BEGIN SELECT RAISE(ABORT, 'an order was driven for ever'); END;
CREATE TRIGGER dropped_stay_so BEFORE UPDATE ON dropped BEGIN SELECT RAISE(ABORT, 'an order was driven for ever'); END;

-- How often the line was driven for an item: for orders, and for tests. It counts on when old pulses are forgotten.
CREATE TABLE driven (
    item   TEXT PRIMARY KEY,
    orders INTEGER NOT NULL CHECK (orders >= 0),
    tests  INTEGER NOT NULL CHECK (tests >= 0),
    sum    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER driven_counts_up BEFORE UPDATE ON driven
WHEN new.item <> old.item OR new.orders + new.tests <> old.orders + old.tests + 1 OR new.orders < old.orders OR new.tests < old.tests
BEGIN SELECT RAISE(ABORT, 'a pulse is counted once'); END;
CREATE TRIGGER driven_is_kept BEFORE DELETE ON driven BEGIN SELECT RAISE(ABORT, 'what was driven was driven'); END;

-- Lines that take no order until a person has looked, each with the item that was driven last.
CREATE TABLE blocked (
    line TEXT PRIMARY KEY,
    why  TEXT NOT NULL,
    item TEXT NOT NULL,
    sum  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The last pulse of the ledger when a person looked at a line. Misses until then do not count any more.
CREATE TABLE looked (
    line  TEXT PRIMARY KEY,
    pulse INTEGER NOT NULL,
    sum   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER looked_goes_forward BEFORE UPDATE ON looked WHEN new.line <> old.line OR new.pulse < old.pulse
BEGIN SELECT RAISE(ABORT, 'who has looked has looked'); END;

-- The key with which the ledger signs what became of a ticket. It is drawn once.
CREATE TABLE signer (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seed TEXT NOT NULL,
    sum  TEXT NOT NULL
) STRICT;

CREATE TRIGGER signer_stays BEFORE UPDATE ON signer BEGIN SELECT RAISE(ABORT, 'a ledger keeps its key'); END;
CREATE TRIGGER signer_is_kept BEFORE DELETE ON signer BEGIN SELECT RAISE(ABORT, 'a ledger keeps its key'); END;

-- The commands of operators that were carried out, each until its end (`exp`, seconds since 1970) is over. So nobody can have one
-- carried out twice.
CREATE TABLE commands (
    jti  TEXT PRIMARY KEY,
    what TEXT NOT NULL,
    exp  INTEGER NOT NULL,
    sum  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, or none yet: the latest time of a right clock at which a command was taken. What had ended by then is over for good,
-- whatever the clock says later. So it need not be remembered.
CREATE TABLE commands_over (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    at  INTEGER NOT NULL,
    sum TEXT NOT NULL
) STRICT;

CREATE TRIGGER commands_stay BEFORE UPDATE ON commands BEGIN SELECT RAISE(ABORT, 'a command is carried out once'); END;
CREATE TRIGGER commands_are_kept BEFORE DELETE ON commands WHEN NOT EXISTS (SELECT 1 FROM commands_over WHERE at >= old.exp)
BEGIN SELECT RAISE(ABORT, 'a command is remembered until its end is over'); END;
CREATE TRIGGER commands_over_goes_forward BEFORE UPDATE ON commands_over WHEN new.at < old.at
BEGIN SELECT RAISE(ABORT, 'what is over stays over'); END;
CREATE TRIGGER commands_over_is_kept BEFORE DELETE ON commands_over BEGIN SELECT RAISE(ABORT, 'what is over stays over'); END;

-- One row, written to find out whether the ledger can be written again.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;
INSERT INTO probe VALUES (1, 0);
