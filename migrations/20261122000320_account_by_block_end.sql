-- no-transaction
-- Blocks that are to be lifted: asked for every minute, hardly ever there.
CREATE INDEX CONCURRENTLY account_by_block_end ON account (territory_id, blocked_until) WHERE blocked_until IS NOT NULL;
