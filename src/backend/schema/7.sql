-- What the machine's relay has signed of an order: `kid:number`, a key and the number that it gave to the order's ticket. No two
-- tickets of a ledger have the same number; where two come with one, it was put back to an earlier state.
ALTER TABLE orders ADD COLUMN proof TEXT;
CREATE INDEX orders_proof ON orders (proof) WHERE proof IS NOT NULL;
-- It stands over what was told without one, and stays.
DROP TRIGGER outcomes_stay;
CREATE TRIGGER outcomes_stay BEFORE UPDATE OF delivery ON orders
WHEN OLD.delivery IS NOT NULL AND NEW.delivery IS NOT OLD.delivery AND (OLD.proof IS NOT NULL OR NEW.proof IS NULL)
BEGIN SELECT RAISE(ABORT, 'the first outcome stays, but for the relay''s own word'); END;
CREATE TRIGGER proofs_stay BEFORE UPDATE OF proof ON orders
WHEN OLD.proof IS NOT NULL AND NEW.proof IS NOT OLD.proof
BEGIN SELECT RAISE(ABORT, 'a proof stays'); END;
ALTER TABLE archived ADD COLUMN proof TEXT;
CREATE INDEX archived_proof ON archived (proof) WHERE proof IS NOT NULL;
