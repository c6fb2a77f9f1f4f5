-- A machine of a later release may tell an outcome, and ask for a payment, that has no name here yet: what was told is kept as it
-- came. A list of words in a table that must be made anew for each of them is a step for nothing.
CREATE TABLE orders_anew (
    order_id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    digest TEXT,                              -- of the POST's body; NULL where the order was rebuilt from Midtrans
    ticket TEXT NOT NULL,
    item TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    payment TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    rev INTEGER NOT NULL,                     -- counts what a machine can see
    version INTEGER NOT NULL,                 -- counts every write
    due_ms INTEGER,
    claimed_until_ms INTEGER,
    created_ms INTEGER NOT NULL,
    settled_ms INTEGER,
    delivery TEXT,
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    refund_due INTEGER NOT NULL CHECK (refund_due IN (0, 1)),
    attention INTEGER NOT NULL CHECK (attention IN (0, 1)),
    sum TEXT NOT NULL,
    UNIQUE (device, request_id, attempt)
) STRICT;
INSERT INTO orders_anew SELECT
    order_id, device, request_id, attempt, digest, ticket, item, amount, payment, state, body, rev, version, due_ms, claimed_until_ms, created_ms, settled_ms, delivery, is_open, refund_due, attention, sum
FROM orders;
DROP TABLE orders;
ALTER TABLE orders_anew RENAME TO orders;
CREATE INDEX orders_due ON orders (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX orders_open ON orders (device) WHERE is_open = 1;
CREATE INDEX orders_recent ON orders (device, created_ms);
CREATE INDEX orders_ticket ON orders (device, ticket);
CREATE INDEX orders_refund_due ON orders (created_ms) WHERE refund_due = 1;
CREATE INDEX orders_attention ON orders (created_ms) WHERE attention = 1;
CREATE INDEX orders_created ON orders (created_ms, order_id);
CREATE INDEX orders_settled ON orders (settled_ms, order_id) WHERE settled_ms IS NOT NULL;

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
