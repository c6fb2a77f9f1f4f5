-- The ways that took an alert: 1 the command, 2 the webhook. They are told when it is over; then each bit is cleared.
ALTER TABLE alerts ADD COLUMN taken INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET taken = 1 WHERE told_ms IS NOT NULL AND ended_ms IS NULL;
