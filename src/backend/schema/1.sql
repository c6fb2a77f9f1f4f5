-- The merchant's books. Times are milliseconds since 1970 (UTC). `body` is the order as the core has it, in JSON; the
-- columns beside it are what is searched by, and always written together with it.

CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    added_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    digest TEXT,                              -- of the POST's body; NULL where the order was rebuilt from Midtrans
    ticket TEXT NOT NULL,
    item TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    payment TEXT NOT NULL CHECK (payment IN ('gopay', 'alfamart', 'indomaret')),
    state TEXT NOT NULL CHECK (state IN ('charging', 'pending', 'cancelling', 'closed', 'settled', 'withheld', 'refunded')),
    body TEXT NOT NULL,
    rev INTEGER NOT NULL,                     -- counts what a machine can see
    version INTEGER NOT NULL,                 -- counts every write
    due_ms INTEGER,
    claimed_until_ms INTEGER,
    created_ms INTEGER NOT NULL,
    settled_ms INTEGER,
    delivery TEXT CHECK (delivery IN ('dispensed', 'failed', 'uncertain', 'undelivered')),
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    refund_due INTEGER NOT NULL CHECK (refund_due IN (0, 1)),
    attention INTEGER NOT NULL CHECK (attention IN (0, 1)),
    sum TEXT NOT NULL,
    UNIQUE (device, request_id, attempt)
) STRICT;
CREATE INDEX orders_due ON orders (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX orders_open ON orders (device) WHERE is_open = 1;
CREATE INDEX orders_recent ON orders (device, created_ms);
CREATE INDEX orders_ticket ON orders (device, ticket);
CREATE INDEX orders_refund_due ON orders (created_ms) WHERE refund_due = 1;
CREATE INDEX orders_attention ON orders (created_ms) WHERE attention = 1;

-- One receipt a request, whoever raced.
CREATE TABLE receipts (
    order_id TEXT PRIMARY KEY REFERENCES orders,
    device TEXT NOT NULL,
    request_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL UNIQUE,
    jws TEXT NOT NULL,
    UNIQUE (device, request_id)
) STRICT;

CREATE TABLE history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE INDEX history_order ON history (order_id);

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TRIGGER orders_stay BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'orders are never deleted'); END;
CREATE TRIGGER orders_are_written_once_a_version BEFORE UPDATE OF body, state, sum ON orders
WHEN NEW.version <> OLD.version + 1 BEGIN SELECT RAISE(ABORT, 'a version was skipped or written twice'); END;
CREATE TRIGGER orders_keep_whose_they_are BEFORE UPDATE OF device, request_id, attempt, ticket, item, amount ON orders
WHEN NEW.device <> OLD.device OR NEW.request_id <> OLD.request_id OR NEW.attempt <> OLD.attempt OR NEW.ticket <> OLD.ticket
    OR NEW.item <> OLD.item OR NEW.amount <> OLD.amount
BEGIN SELECT RAISE(ABORT, 'an order does not become another one'); END;
CREATE TRIGGER paid_stays_paid BEFORE UPDATE OF state ON orders
WHEN OLD.state IN ('settled', 'withheld', 'refunded') AND NEW.state IN ('charging', 'pending', 'cancelling', 'closed')
BEGIN SELECT RAISE(ABORT, 'what is paid stays paid'); END;
CREATE TRIGGER outcomes_stay BEFORE UPDATE OF delivery ON orders
WHEN OLD.delivery IS NOT NULL AND NEW.delivery IS NOT OLD.delivery
BEGIN SELECT RAISE(ABORT, 'the first outcome stays'); END;
CREATE TRIGGER receipts_are_not_changed BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are never changed'); END;
CREATE TRIGGER receipts_stay BEFORE DELETE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are never deleted'); END;
CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history only grows'); END;
CREATE TRIGGER history_stays BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, 'history only grows'); END;
