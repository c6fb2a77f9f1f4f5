-- Of several backends one publishes at a time.
CREATE TABLE outbox_turn (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    who TEXT NOT NULL,
    until_ms INTEGER NOT NULL
);
