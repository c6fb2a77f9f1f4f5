-- The ledger signs what became of a ticket, with a key that is drawn with it. `number` counts the tickets that have left
-- `open`, in the order in which they did; a ticket that left before this step has none, and nothing is signed of it.
ALTER TABLE tickets ADD COLUMN number INTEGER;

DROP TRIGGER tickets_go_forward;
CREATE TRIGGER tickets_go_forward BEFORE UPDATE ON tickets
WHEN old.state <> 'open' OR new.state = 'open' OR new.number IS NULL OR old.number IS NOT NULL OR new.seq <> old.seq
    OR new.ticket <> old.ticket OR new.item <> old.item OR new.amount <> old.amount
BEGIN SELECT RAISE(ABORT, 'a ticket is used or closed once, and nothing else of it changes'); END;

CREATE TABLE signer (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seed TEXT NOT NULL,
    sum  TEXT NOT NULL
) STRICT;

CREATE TRIGGER signer_stays BEFORE UPDATE ON signer BEGIN SELECT RAISE(ABORT, 'a ledger keeps its key'); END;
CREATE TRIGGER signer_is_kept BEFORE DELETE ON signer BEGIN SELECT RAISE(ABORT, 'a ledger keeps its key'); END;
