-- Everything at which a person must look: one row an order and kind, written in the same commit as what caused it. While
-- `ended_ms` is NULL it is so; while `next_ms` is set somebody must still be told.
CREATE TABLE IF NOT EXISTS alerts (
    subject TEXT NOT NULL,                    -- the order_id; the device of kind 'offline'
    kind TEXT NOT NULL,
    device TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    tries INTEGER NOT NULL,
    next_ms INTEGER,
    told_ms INTEGER,
    PRIMARY KEY (subject, kind)
) STRICT;
CREATE INDEX IF NOT EXISTS alerts_due ON alerts (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS alerts_open ON alerts (kind, since_ms) WHERE ended_ms IS NULL;

-- Refunds that the backend began by itself: one an order, and a daily limit a machine.
CREATE TABLE IF NOT EXISTS automatic_refunds (
    order_id TEXT PRIMARY KEY REFERENCES orders,
    device TEXT NOT NULL,
    asked_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS automatic_refunds_recent ON automatic_refunds (device, asked_ms);

CREATE TRIGGER IF NOT EXISTS automatic_refunds_stay BEFORE DELETE ON automatic_refunds
BEGIN SELECT RAISE(ABORT, 'a refund that was begun is never forgotten'); END;

-- Of several backends on one database one tells people at a time.
CREATE TABLE IF NOT EXISTS alert_turn (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    who TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

-- Lists and reports, by the page.
CREATE INDEX IF NOT EXISTS orders_created ON orders (created_ms, order_id);
CREATE INDEX IF NOT EXISTS orders_settled ON orders (settled_ms, order_id) WHERE settled_ms IS NOT NULL;
