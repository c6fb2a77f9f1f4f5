-- The merchant's books. Times are milliseconds since 1970 (UTC). `body` is the order as the core has it, in JSON; the
-- columns beside it are what is searched by, and always written together with it. The words in them have no list: a machine of a later
-- release may tell one that has no name here yet, and it is kept as it came. PostgreSQL gets the same tables: store/postgres/schema.rs
-- knows the words that are used here.

CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    try INTEGER NOT NULL CHECK (try >= 1),    -- which try at handing it out; `delivery` and `proof` are of this one
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
    taken_out INTEGER NOT NULL CHECK (taken_out IN (0, 1)), -- a person took its goods out of the machine's slot
    refund_due INTEGER NOT NULL CHECK (refund_due IN (0, 1)),
    goes_back INTEGER NOT NULL CHECK (goes_back IN (0, 1)), -- its money may go back without a person, if the merchant wants that
    attention INTEGER NOT NULL CHECK (attention IN (0, 1)),
    -- When a person must have looked at the latest: the end of the gateway's time for a refund; a time far ahead where money may be owed and
    -- there is none; the last of all times where no money is owed. NULL: it wants nobody.
    look_by_ms INTEGER,
    -- What became of the payment, which is also what it counts as in sums: goods (delivered, given), money (refunded, refunded_by_hand,
    -- taken_back), owed (refund_due) or uncertain (uncertain, unreported); awaited: nothing yet. It means something once it was settled.
    ended TEXT NOT NULL,
    -- Beside that: a person gave the customer the money, or goods by hand, although the goods of another try had come.
    goods_and_money INTEGER NOT NULL CHECK (goods_and_money IN (0, 1)),
    paid INTEGER NOT NULL,
    scheme TEXT NOT NULL,
    returned INTEGER,                         -- what the gateway gave or took back; NULL: a part, and nobody has said how much
    goods TEXT NOT NULL,
    sum TEXT NOT NULL,
    -- What the machine's relay has signed of it: `kid:number`, a key and the number that it gave to the order's ticket. No two
    -- tickets of a ledger have the same number; where two come with one, it was put back to an earlier state.
    proof TEXT,
    UNIQUE (device, request_id, attempt)
) STRICT;
CREATE INDEX orders_due ON orders (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX orders_open ON orders (device) WHERE is_open = 1;
CREATE INDEX orders_taken_out ON orders (device, created_ms) WHERE taken_out = 1;
CREATE INDEX orders_recent ON orders (device, created_ms);
CREATE INDEX orders_ticket ON orders (device, ticket);
CREATE INDEX orders_refund_due ON orders (created_ms) WHERE refund_due = 1;
CREATE INDEX orders_go_back ON orders (order_id) WHERE goes_back = 1;
CREATE INDEX orders_attention ON orders (created_ms) WHERE attention = 1;
CREATE INDEX orders_urgent ON orders (look_by_ms, created_ms) WHERE look_by_ms IS NOT NULL;
CREATE INDEX orders_created ON orders (created_ms, order_id);
CREATE INDEX orders_settled ON orders (settled_ms, order_id) WHERE settled_ms IS NOT NULL;
-- Sums are added up without a look at the orders: a month of them is a page for a phone.
CREATE INDEX orders_sums ON orders (settled_ms, ended, goods_and_money, paid, device, goods, scheme, returned, amount) WHERE settled_ms IS NOT NULL;
-- What a customer says: so much, at about that time.
CREATE INDEX orders_amount ON orders (amount, created_ms, order_id);
-- What a customer says: these goods.
CREATE INDEX orders_goods ON orders (goods, created_ms, order_id);
CREATE INDEX orders_proof ON orders (proof) WHERE proof IS NOT NULL;

-- What the orders of a day that is over add up to, as it was read last. The rules below forget it when one of them changes.
CREATE TABLE day_sums (
    until_ms INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    grouped TEXT NOT NULL,                    -- what the sums are told by
    fees TEXT NOT NULL,                       -- what the gateway kept, as the merchant had said it
    sums TEXT NOT NULL,                       -- as JSON
    PRIMARY KEY (until_ms, from_ms, grouped)
) STRICT;

-- One receipt a try at a request, whoever raced.
CREATE TABLE receipts (
    order_id TEXT NOT NULL REFERENCES orders,
    try INTEGER NOT NULL CHECK (try >= 1),
    device TEXT NOT NULL,
    request_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    jws TEXT NOT NULL,
    PRIMARY KEY (order_id, try),
    UNIQUE (transaction_id, try),
    UNIQUE (device, request_id, try)
) STRICT;

-- Each try after the first one, with the relay's word on the one before.
CREATE TABLE tries (
    order_id TEXT NOT NULL REFERENCES orders,
    try INTEGER NOT NULL CHECK (try >= 2),
    device TEXT NOT NULL,
    ticket TEXT NOT NULL,
    proof_before TEXT NOT NULL,               -- as `orders.proof`
    begun_ms INTEGER NOT NULL,
    is_sure INTEGER NOT NULL CHECK (is_sure IN (0, 1)), -- it began with the machine's number, and hands out what was bought
    PRIMARY KEY (order_id, try),
    UNIQUE (device, ticket)
) STRICT;
CREATE INDEX tries_recent ON tries (device, begun_ms);
CREATE INDEX tries_proof ON tries (proof_before);

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

-- Everything at which a person must look: one row an order and kind, written in the same commit as what caused it. While
-- `ended_ms` is NULL it is so; while `next_ms` is set somebody must still be told.
CREATE TABLE alerts (
    subject TEXT NOT NULL,                    -- the order_id; the device of kind 'offline'
    kind TEXT NOT NULL,
    device TEXT,                              -- NULL of kind 'daily', whose subject is a day
    since_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    tries INTEGER NOT NULL,
    next_ms INTEGER,
    told_ms INTEGER,
    taken INTEGER NOT NULL DEFAULT 0,         -- the ways that took it: 1 the command, 2 the webhook; of its end, those that have not yet
    PRIMARY KEY (subject, kind)
) STRICT;
CREATE INDEX alerts_due ON alerts (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX alerts_open ON alerts (kind, since_ms) WHERE ended_ms IS NULL;

-- The last time of day that was trusted, and the boot clock then. No later start goes by an earlier one.
CREATE TABLE trusted_time (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at_ms INTEGER NOT NULL,
    boot TEXT NOT NULL,
    boot_ms INTEGER NOT NULL
) STRICT;

-- Since when the backend begins refunds by itself; no row: it does not.
CREATE TABLE auto_refund (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    since_ms INTEGER NOT NULL
) STRICT;
-- Refunds that it began by itself, or left to a person: one row an order, and a daily limit a machine.
CREATE TABLE automatic_refunds (
    order_id TEXT PRIMARY KEY REFERENCES orders,
    device TEXT NOT NULL,
    asked_ms INTEGER                          -- NULL: left to a person, unless its customer asks for it
) STRICT;
CREATE INDEX automatic_refunds_recent ON automatic_refunds (device, asked_ms);

-- Of several backends one tells people at a time, and one publishes.
CREATE TABLE alert_turn (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    who TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE outbox_turn (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    who TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

-- Orders that verified notifications name and the books do not have: they were lost with earlier books. Midtrans is asked about
-- each when it can be, and the order is rebuilt; then its row is gone.
CREATE TABLE strangers (
    order_id TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    tries INTEGER NOT NULL
) STRICT;
CREATE INDEX strangers_due ON strangers (due_ms);

-- Orders that are over go into files of their own (`qris-backend archive`). What stays of each keeps its name, its request, its ticket,
-- its transaction and its proof from being used once more.
CREATE TABLE archives (
    archive INTEGER PRIMARY KEY AUTOINCREMENT,
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
    archive INTEGER NOT NULL REFERENCES archives,
    proof TEXT
) STRICT;
CREATE INDEX archived_request ON archived (device, request_id);
CREATE INDEX archived_ticket ON archived (device, ticket);
CREATE UNIQUE INDEX archived_transaction ON archived (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX archived_settled ON archived (settled_ms) WHERE settled_ms IS NOT NULL;
CREATE INDEX archived_proof ON archived (proof) WHERE proof IS NOT NULL;
-- The same of its later tries.
CREATE TABLE archived_tries (
    order_id TEXT NOT NULL REFERENCES archived,
    try INTEGER NOT NULL,
    device TEXT NOT NULL,
    ticket TEXT NOT NULL,
    proof_before TEXT NOT NULL,
    PRIMARY KEY (order_id, try)
) STRICT;
CREATE INDEX archived_tries_ticket ON archived_tries (device, ticket);
CREATE INDEX archived_tries_proof ON archived_tries (proof_before);

-- The desk: the people who look at all this on a phone, and settle it. Of a link, a session and a device only the SHA-256 is kept.
CREATE TABLE people (
    person INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    known_as TEXT NOT NULL,                   -- the name in small letters: nobody tells `Sari` and `sari` apart
    role TEXT NOT NULL,
    limit_per_day INTEGER,                    -- in rupiah; NULL: that of the configuration
    password TEXT,                            -- its hash; NULL: no link was used yet
    since_ms INTEGER NOT NULL,
    removed_ms INTEGER                        -- the row stays: the log names its person by number
) STRICT;
CREATE UNIQUE INDEX people_known ON people (known_as) WHERE removed_ms IS NULL;
-- One link a person and door: a newer one makes an older one void.
CREATE TABLE people_invited (
    person INTEGER NOT NULL REFERENCES people,
    door TEXT NOT NULL,                       -- the public one, where a password is chosen, or the local network, where none is
    code_hash TEXT NOT NULL UNIQUE,
    until_ms INTEGER NOT NULL,
    used_ms INTEGER,
    PRIMARY KEY (person, door)
) STRICT;
CREATE TABLE sessions (
    session INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL REFERENCES people,
    secret_hash TEXT NOT NULL UNIQUE,
    began_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    proven_ms INTEGER NOT NULL,               -- the password was typed then
    boot TEXT,                                -- the boot of the computer in which it was used last; NULL: not known
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    door TEXT NOT NULL                        -- it is good only where it began: at the public door, or in the local network
) STRICT;
CREATE INDEX sessions_person ON sessions (person);
-- Devices on which a person was let in once. The guesses of others do not make them wait.
CREATE TABLE desk_devices (
    device_hash TEXT PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people,
    since_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX desk_devices_person ON desk_devices (person);
CREATE TABLE desk_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    person INTEGER,                           -- NULL: somebody at the backend's own terminal
    who TEXT NOT NULL,
    address TEXT,
    what TEXT NOT NULL,
    order_id TEXT,
    amount INTEGER,                           -- what counts against the person's limit of the day
    detail TEXT
) STRICT;
CREATE INDEX desk_log_person ON desk_log (person, at_ms) WHERE person IS NOT NULL;
CREATE INDEX desk_log_order ON desk_log (order_id) WHERE order_id IS NOT NULL;

-- What is kept of a day is forgotten with each change of its orders.
CREATE TRIGGER day_sums_forget_what_comes AFTER INSERT ON orders
WHEN NEW.settled_ms IS NOT NULL
BEGIN DELETE FROM day_sums WHERE until_ms > NEW.settled_ms AND from_ms <= NEW.settled_ms; END;
CREATE TRIGGER day_sums_forget_what_changes AFTER UPDATE OF settled_ms, ended, goods_and_money, paid, scheme, returned, goods ON orders
WHEN NEW.settled_ms IS NOT NULL OR OLD.settled_ms IS NOT NULL
BEGIN DELETE FROM day_sums WHERE until_ms > OLD.settled_ms AND from_ms <= OLD.settled_ms;
DELETE FROM day_sums WHERE until_ms > NEW.settled_ms AND from_ms <= NEW.settled_ms; END;
CREATE TRIGGER day_sums_forget_what_goes AFTER DELETE ON orders
WHEN OLD.settled_ms IS NOT NULL
BEGIN DELETE FROM day_sums WHERE until_ms > OLD.settled_ms AND from_ms <= OLD.settled_ms; END;

-- What must never happen.
CREATE TRIGGER orders_are_written_once_a_version BEFORE UPDATE OF body, state, sum ON orders
WHEN NEW.version <> OLD.version + 1 BEGIN SELECT RAISE(ABORT, 'a version was skipped or written twice'); END;
CREATE TRIGGER orders_keep_whose_they_are BEFORE UPDATE OF device, request_id, attempt, ticket, item, amount ON orders
WHEN NEW.device <> OLD.device OR NEW.request_id <> OLD.request_id OR NEW.attempt <> OLD.attempt OR NEW.ticket <> OLD.ticket
    OR NEW.item <> OLD.item OR NEW.amount <> OLD.amount
BEGIN SELECT RAISE(ABORT, 'an order does not become another one'); END;
CREATE TRIGGER paid_stays_paid BEFORE UPDATE OF state ON orders
WHEN OLD.state NOT IN ('charging', 'pending', 'cancelling', 'closed') AND NEW.state IN ('charging', 'pending', 'cancelling', 'closed')
BEGIN SELECT RAISE(ABORT, 'what is paid stays paid'); END;
-- Goods or money: one of the two, whoever writes. What was given stays given. Nothing is owed for what came, unless two words about it
-- differ (then it is uncertain), or the relay proves what the machine alone had told otherwise. But whatever the gateway or a bank did with the money all the same is written. A machine that has a receipt
-- and has told nothing may still deliver: nobody settles that in another way.
CREATE TRIGGER ends_stay BEFORE UPDATE OF ended ON orders
WHEN NEW.ended <> OLD.ended AND (OLD.ended IN ('given', 'refunded', 'refunded_by_hand')
    OR OLD.ended = 'delivered' AND NEW.ended NOT IN ('uncertain', 'taken_back') AND (NEW.ended <> 'refunded' OR NEW.state <> 'refunded')
        AND (NEW.ended <> 'refund_due' OR OLD.proof IS NOT NULL OR NEW.proof IS NULL)
    OR OLD.ended = 'awaited' AND OLD.state = 'settled' AND NEW.delivery IS NULL
        AND NEW.ended IN ('given', 'refund_due', 'refunded_by_hand'))
BEGIN SELECT RAISE(ABORT, 'goods or money: the first end stays'); END;
-- Goods and money is said beside the end, of a later try only that was not surely its customer's. It stays.
CREATE TRIGGER goods_and_money_after_a_try BEFORE UPDATE OF goods_and_money ON orders
WHEN NEW.goods_and_money <> OLD.goods_and_money AND (NEW.goods_and_money = 0
    OR NOT EXISTS (SELECT 1 FROM tries WHERE order_id = NEW.order_id AND try = NEW.try AND is_sure = 0))
BEGIN SELECT RAISE(ABORT, 'goods and money: only where the last try was not surely its customer''s'); END;
-- Another try begins when the relay has signed that nothing came of the one before.
CREATE TRIGGER tries_go_forward BEFORE UPDATE OF try ON orders
WHEN NEW.try <> OLD.try AND (NEW.try <> OLD.try + 1 OR OLD.proof IS NULL OR OLD.delivery NOT IN ('undelivered', 'failed')
    OR NEW.delivery IS NOT NULL OR OLD.state <> 'settled' OR NEW.state <> 'settled' OR OLD.ended <> 'refund_due')
BEGIN SELECT RAISE(ABORT, 'another try begins after one of which nothing came, by proof, and nothing was given for it'); END;
-- The relay's own word stands over what was told without it, and stays.
CREATE TRIGGER outcomes_stay BEFORE UPDATE OF delivery ON orders
WHEN NEW.try = OLD.try AND OLD.delivery IS NOT NULL AND NEW.delivery IS DISTINCT FROM OLD.delivery AND (OLD.proof IS NOT NULL OR NEW.proof IS NULL)
BEGIN SELECT RAISE(ABORT, 'the first outcome stays, but for the relay''s own word'); END;
CREATE TRIGGER proofs_stay BEFORE UPDATE OF proof ON orders
WHEN NEW.try = OLD.try AND OLD.proof IS NOT NULL AND NEW.proof IS DISTINCT FROM OLD.proof
BEGIN SELECT RAISE(ABORT, 'a proof stays'); END;
CREATE TRIGGER payments_have_one_order BEFORE INSERT ON receipts
WHEN EXISTS (SELECT 1 FROM receipts WHERE order_id <> NEW.order_id
    AND (transaction_id = NEW.transaction_id OR device = NEW.device AND request_id = NEW.request_id))
BEGIN SELECT RAISE(ABORT, 'another order has the receipt of this payment'); END;
CREATE TRIGGER receipts_are_not_changed BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are never changed'); END;
CREATE TRIGGER tries_are_not_changed BEFORE UPDATE ON tries BEGIN SELECT RAISE(ABORT, 'what was tried was tried'); END;
CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history only grows'); END;
CREATE TRIGGER desk_log_is_not_changed BEFORE UPDATE ON desk_log BEGIN SELECT RAISE(ABORT, 'the log of the desk only grows'); END;
-- Names and addresses of people have an age. What is less than 30 days older than the newest line stays, whoever asks.
CREATE TRIGGER desk_log_stays BEFORE DELETE ON desk_log
WHEN OLD.at_ms > (SELECT at_ms FROM desk_log ORDER BY seq DESC LIMIT 1) - 2592000000
BEGIN SELECT RAISE(ABORT, 'the log of the desk only grows'); END;
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
CREATE TRIGGER orders_stay BEFORE DELETE ON orders
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'orders are never deleted'); END;
CREATE TRIGGER receipts_stay BEFORE DELETE ON receipts
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'receipts are never deleted'); END;
CREATE TRIGGER history_stays BEFORE DELETE ON history
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'history only grows'); END;
CREATE TRIGGER automatic_refunds_stay BEFORE DELETE ON automatic_refunds
WHEN NOT EXISTS (SELECT 1 FROM archived WHERE order_id = OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'a refund that was begun is never forgotten'); END;
