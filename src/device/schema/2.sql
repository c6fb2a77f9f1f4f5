-- Payment codes of orders that are paid over the counter, also of those that are over: one that is typed in again is told
-- from one that was never given.
CREATE TABLE IF NOT EXISTS codes (
    request_id TEXT PRIMARY KEY,
    code       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS codes_by_code ON codes (code);

CREATE TRIGGER IF NOT EXISTS a_forgotten_order_has_no_code AFTER DELETE ON orders
BEGIN DELETE FROM codes WHERE request_id = old.request_id; END;

-- What was collected when the power went, and never driven, waits for its customer again.
DROP TRIGGER IF EXISTS dispensing_ends_one_way_or_the_other;
CREATE TRIGGER IF NOT EXISTS dispensing_ends_or_waits_again BEFORE UPDATE ON orders
WHEN old.state = 'dispensing' AND new.state NOT IN ('dispensing', 'dispensed', 'refund_due', 'awaiting_collection')
BEGIN SELECT raise(ABORT, 'a dispensing order ends dispensed or refund_due, or is collected once more'); END;

CREATE TRIGGER IF NOT EXISTS collection_needs_a_receipt BEFORE UPDATE ON orders
WHEN new.receipt IS NULL AND new.state = 'awaiting_collection'
BEGIN SELECT raise(ABORT, 'what can be collected has a receipt'); END;
