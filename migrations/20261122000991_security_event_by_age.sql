-- no-transaction
-- The sweep looks for what is old, of everybody.
CREATE INDEX CONCURRENTLY security_event_by_age ON security_event (at);
