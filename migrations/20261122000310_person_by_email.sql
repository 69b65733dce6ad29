-- no-transaction
-- Sign-in by e-mail and "who is behind this address": several people may share one.
CREATE INDEX CONCURRENTLY person_by_email ON person (lower(email)) WHERE email IS NOT NULL;
