-- What the relay promised, and what it drove. Rows only go forward; what must never happen is refused here too, whatever
-- the program believes. `sum` is a checksum of the row, made before it is written and checked when it is read.

-- A ticket becomes used or closed, and then nothing more.
CREATE TABLE tickets (
    seq      INTEGER PRIMARY KEY,
    ticket   TEXT NOT NULL UNIQUE,
    item     TEXT NOT NULL,
    amount   INTEGER NOT NULL CHECK (amount > 0),
    state    TEXT NOT NULL CHECK (state IN ('open', 'used', 'closed')),
    order_id TEXT CHECK ((state = 'used') = (order_id IS NOT NULL)),
    sum      TEXT NOT NULL
) STRICT;

CREATE TRIGGER tickets_begin_open BEFORE INSERT ON tickets WHEN new.state <> 'open'
BEGIN SELECT RAISE(ABORT, 'a ticket begins open'); END;
CREATE TRIGGER tickets_go_forward BEFORE UPDATE ON tickets
WHEN old.state <> 'open' OR new.seq <> old.seq OR new.ticket <> old.ticket OR new.item <> old.item OR new.amount <> old.amount
BEGIN SELECT RAISE(ABORT, 'a ticket is used or closed once, and nothing else of it changes'); END;
CREATE TRIGGER tickets_open_stay BEFORE DELETE ON tickets WHEN old.state = 'open'
BEGIN SELECT RAISE(ABORT, 'an open ticket is never deleted'); END;

-- At most one pulse for an order, a ticket, a request and a transaction. `outcome` is NULL while the line is driven.
CREATE TABLE pulses (
    seq            INTEGER PRIMARY KEY,
    order_id       TEXT NOT NULL UNIQUE,
    ticket         TEXT NOT NULL UNIQUE REFERENCES tickets (ticket),
    request_id     TEXT NOT NULL UNIQUE,
    transaction_id TEXT NOT NULL UNIQUE,
    line           TEXT NOT NULL,
    item           TEXT NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount > 0),
    outcome        TEXT CHECK (outcome IN ('dispensed', 'failed', 'uncertain')),
    detail         TEXT NOT NULL,
    sum            TEXT NOT NULL
) STRICT;

-- A line does one thing at a time.
CREATE UNIQUE INDEX pulses_driving ON pulses (line) WHERE outcome IS NULL;

CREATE TRIGGER pulses_begin_with_a_ticket BEFORE INSERT ON pulses
WHEN new.outcome IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM tickets WHERE ticket = new.ticket AND state = 'used' AND order_id = new.order_id AND item = new.item AND amount = new.amount)
BEGIN SELECT RAISE(ABORT, 'a pulse begins with its ticket used for it, and without an outcome'); END;
CREATE TRIGGER pulses_end_once BEFORE UPDATE ON pulses
WHEN old.outcome IS NOT NULL OR new.outcome IS NULL OR new.seq <> old.seq OR new.order_id <> old.order_id OR new.ticket <> old.ticket
    OR new.request_id <> old.request_id OR new.transaction_id <> old.transaction_id OR new.line <> old.line OR new.item <> old.item
    OR new.amount <> old.amount
BEGIN SELECT RAISE(ABORT, 'a pulse gets its outcome once, and nothing else of it changes'); END;
CREATE TRIGGER pulses_driving_stay BEFORE DELETE ON pulses WHEN old.outcome IS NULL
BEGIN SELECT RAISE(ABORT, 'a pulse without an outcome is never deleted'); END;

-- Lines that take no order until a person has looked.
CREATE TABLE blocked (
    line     TEXT PRIMARY KEY,
    why      TEXT NOT NULL,
    order_id TEXT NOT NULL,
    sum      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, written to find out whether the ledger can be written again.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;
INSERT INTO probe VALUES (1, 0);
