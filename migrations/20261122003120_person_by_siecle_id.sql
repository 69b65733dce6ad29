-- no-transaction
-- Whose pupil number: asked for by the desks of academies, which name children so.
CREATE INDEX CONCURRENTLY person_by_siecle_id ON person (territory_id, siecle_id) WHERE siecle_id IS NOT NULL;
