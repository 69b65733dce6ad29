-- no-transaction
-- Names that somebody had before a merge: asked for when a present password is not the right one.
CREATE INDEX CONCURRENTLY login_by_merger ON login (person_id) WHERE was_of IS NOT NULL;
