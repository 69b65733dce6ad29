-- no-transaction
-- Which keys a person has: whether an academy speaks for somebody, before a feed says that they have left.
CREATE INDEX CONCURRENTLY IF NOT EXISTS join_key_by_person ON join_key (territory_id, person_id);
