-- The machine's orders, and the events that the broker has not acknowledged yet.

CREATE TABLE orders (
    request_id TEXT PRIMARY KEY,
    order_id   TEXT UNIQUE,
    ticket     TEXT NOT NULL UNIQUE,
    state      TEXT NOT NULL CHECK (state IN ('requested', 'awaiting_payment', 'awaiting_collection', 'cancelling', 'cancelled',
                   'expired', 'denied', 'failed', 'paid', 'dispensing', 'dispensed', 'refund_due', 'trying_again', 'refunded')),
    reason     TEXT,
    body       TEXT NOT NULL,             -- the order, without its receipt
    receipt    TEXT,
    holds      INTEGER NOT NULL CHECK (holds IN (0, 1)),  -- keeps every other customer waiting
    live       INTEGER NOT NULL CHECK (live IN (0, 1)),   -- something is still to be done or awaited
    taken      TEXT,                      -- where its item is, once it has left its slot
    boot_id    TEXT NOT NULL,             -- of the deadlines in the body
    last_event TEXT NOT NULL,             -- as it was published
    rev        INTEGER NOT NULL CHECK (rev > 0),
    sum        INTEGER NOT NULL           -- of the columns above, made before writing and checked after reading
) STRICT;

CREATE UNIQUE INDEX one_customer_at_a_time ON orders ((1)) WHERE holds = 1;
CREATE INDEX live_orders ON orders (live) WHERE live = 1;

CREATE TRIGGER paid_states_need_a_receipt_new BEFORE INSERT ON orders
WHEN new.receipt IS NULL AND (new.state IN ('paid', 'dispensing', 'dispensed', 'trying_again') OR new.state = 'refund_due' AND new.reason NOT IN ('mismatch', 'uncertain'))
BEGIN SELECT raise(ABORT, 'a paid state needs a receipt'); END;

CREATE TRIGGER paid_states_need_a_receipt BEFORE UPDATE ON orders
WHEN new.receipt IS NULL AND (new.state IN ('paid', 'dispensing', 'dispensed', 'trying_again') OR new.state = 'refund_due' AND new.reason NOT IN ('mismatch', 'uncertain'))
BEGIN SELECT raise(ABORT, 'a paid state needs a receipt'); END;

-- Another try has another ticket.
CREATE TRIGGER a_receipt_stays BEFORE UPDATE ON orders
WHEN old.receipt IS NOT NULL AND new.receipt IS NOT old.receipt AND (new.receipt IS NULL OR new.ticket = old.ticket)
BEGIN SELECT raise(ABORT, 'the receipt of a try is never changed'); END;

CREATE TRIGGER another_try_comes_after_nothing BEFORE UPDATE ON orders
WHEN (new.state = 'trying_again' OR new.ticket <> old.ticket) AND old.state NOT IN ('refund_due', 'trying_again')
BEGIN SELECT raise(ABORT, 'another try comes after nothing came'); END;

CREATE TRIGGER a_paid_order_keeps_its_name BEFORE UPDATE ON orders
WHEN old.receipt IS NOT NULL AND new.order_id IS NOT old.order_id
BEGIN SELECT raise(ABORT, 'the order_id of a paid order is never changed'); END;

CREATE TRIGGER dispensed_is_final BEFORE UPDATE ON orders
WHEN old.state = 'dispensed' AND new.state <> 'dispensed'
BEGIN SELECT raise(ABORT, 'a dispensed order has no other state'); END;

-- What was collected when the power went, and never driven, waits for its customer again.
CREATE TRIGGER dispensing_ends_or_waits_again BEFORE UPDATE ON orders
WHEN old.state = 'dispensing' AND new.state NOT IN ('dispensing', 'dispensed', 'refund_due', 'awaiting_collection')
BEGIN SELECT raise(ABORT, 'a dispensing order ends dispensed or refund_due, or is collected once more'); END;

CREATE TRIGGER collection_needs_a_receipt BEFORE UPDATE ON orders
WHEN new.receipt IS NULL AND new.state = 'awaiting_collection'
BEGIN SELECT raise(ABORT, 'what can be collected has a receipt'); END;

CREATE TRIGGER revisions_count_by_one BEFORE UPDATE ON orders
WHEN new.rev <> old.rev + 1
BEGIN SELECT raise(ABORT, 'the revision must count by one'); END;

CREATE TRIGGER live_orders_stay BEFORE DELETE ON orders
WHEN old.live = 1
BEGIN SELECT raise(ABORT, 'an unfinished order is never deleted'); END;

-- Payment codes of orders that are paid over the counter, also of those that are over: one that is typed in again is told
-- from one that was never given.
CREATE TABLE codes (
    request_id TEXT PRIMARY KEY,
    code       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX codes_by_code ON codes (code);

CREATE TRIGGER a_forgotten_order_has_no_code AFTER DELETE ON orders
BEGIN DELETE FROM codes WHERE request_id = old.request_id; END;

-- What lies in a slot: the sums of `core/order/stock.rs`. No row: nobody has counted.
CREATE TABLE stock (
    item  TEXT PRIMARY KEY,
    shelf TEXT NOT NULL                   -- with its checksum
) STRICT, WITHOUT ROWID;

-- Its seq is the seq of the event, so it must never be used twice: the last row stays, emptied once the broker has it.
CREATE TABLE outbox (
    seq     INTEGER PRIMARY KEY,
    payload TEXT NOT NULL
) STRICT;

-- What the machine knows besides its orders: a value with its checksum. store/fact.rs gives each its type.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What became of operators' commands.
CREATE TABLE commands (
    jti    TEXT PRIMARY KEY,
    record TEXT NOT NULL                  -- with its checksum
) STRICT, WITHOUT ROWID;

-- One row, written to find out whether the database can be written again.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;
INSERT INTO probe VALUES (1, 0);
