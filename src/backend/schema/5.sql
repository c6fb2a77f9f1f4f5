-- Orders that verified notifications name and the books do not have: they were lost with earlier books. Midtrans is asked about
-- each when it can be, and the order is rebuilt; then its row is gone.
CREATE TABLE strangers (
    order_id TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL
) STRICT;
CREATE INDEX strangers_due ON strangers (due_ms);
