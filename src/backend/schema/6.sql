-- Orders that are over go into files of their own (`qris-backend archive`). What stays of each keeps its name, its request, its ticket
-- and its transaction from being used once more.
CREATE TABLE archives (
    archive INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE archived (
    order_id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    request_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    transaction_id TEXT,                      -- of its receipt
    settled_ms INTEGER,
    archive INTEGER NOT NULL REFERENCES archives
) STRICT;
CREATE INDEX archived_request ON archived (device, request_id);
CREATE INDEX archived_ticket ON archived (device, ticket);
CREATE UNIQUE INDEX archived_transaction ON archived (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX archived_settled ON archived (settled_ms) WHERE settled_ms IS NOT NULL;

CREATE TRIGGER archived_stay BEFORE DELETE ON archived BEGIN SELECT RAISE(ABORT, 'what is archived stays so'); END;
CREATE TRIGGER archived_are_not_changed BEFORE UPDATE ON archived BEGIN SELECT RAISE(ABORT, 'what is archived stays so'); END;
CREATE TRIGGER archived_do_not_come_back BEFORE INSERT ON orders
WHEN EXISTS (SELECT 1 FROM archived WHERE order_id = NEW.order_id)
BEGIN SELECT RAISE(ABORT, 'the order is archived'); END;
CREATE TRIGGER archived_have_their_receipt BEFORE INSERT ON receipts
WHEN EXISTS (SELECT 1 FROM archived WHERE transaction_id = NEW.transaction_id
    OR device = NEW.device AND request_id = NEW.request_id AND transaction_id IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'one receipt a request, also of what is archived'); END;

-- Nothing is deleted but what is archived.
DROP TRIGGER orders_stay;
CREATE TRIGGER orders_stay BEFORE DELETE ON orders
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'orders are never deleted'); END;
DROP TRIGGER receipts_stay;
CREATE TRIGGER receipts_stay BEFORE DELETE ON receipts
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'receipts are never deleted'); END;
DROP TRIGGER history_stays;
CREATE TRIGGER history_stays BEFORE DELETE ON history
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'history only grows'); END;
DROP TRIGGER automatic_refunds_stay;
CREATE TRIGGER automatic_refunds_stay BEFORE DELETE ON automatic_refunds
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'a refund that was begun is never forgotten'); END;
