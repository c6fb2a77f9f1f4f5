-- What the machine's relay has signed of an order: `kid:number`, a key and the number that it gave to the order's ticket. No two
-- tickets of a ledger have the same number; where two come with one, it was put back to an earlier state.
ALTER TABLE orders ADD COLUMN proof TEXT;
CREATE INDEX orders_proof ON orders (proof) WHERE proof IS NOT NULL;
ALTER TABLE archived ADD COLUMN proof TEXT;
CREATE INDEX archived_proof ON archived (proof) WHERE proof IS NOT NULL;
