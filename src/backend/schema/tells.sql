-- Whoever waits for a request, at whichever backend, hears of each change that its machine can see.
CREATE FUNCTION qris_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qris', NEW.device || ' ' || NEW.request_id);
    RETURN NULL;
END $$;
CREATE TRIGGER orders_tell AFTER UPDATE OF rev, state ON orders
FOR EACH ROW WHEN (NEW.rev <> OLD.rev OR NEW.state <> OLD.state) EXECUTE FUNCTION qris_tell();
