-- no-transaction
-- A territory looks for people by how a last name begins; duplicates are looked for among namesakes.
CREATE INDEX CONCURRENTLY person_by_name ON person (territory_id, lower(last_name) text_pattern_ops, person_id);
