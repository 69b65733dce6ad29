-- Files: where bytes are. For now the uploads of a territory's feeds, chunked and counted.

SET LOCAL lock_timeout = '2s';

CREATE TABLE upload (
    territory_id  uuid        NOT NULL,
    upload_id     uuid        NOT NULL,
    size_bytes    bigint      NOT NULL CONSTRAINT upload_size_positive CHECK (size_bytes >= 0),
    sha256        bytea       NOT NULL,
    created_by    uuid        NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (territory_id, upload_id)
);
CREATE TABLE upload_chunk (
    territory_id  uuid    NOT NULL,
    upload_id     uuid    NOT NULL,
    seq           integer NOT NULL,
    bytes         bytea   NOT NULL,
    -- No reference to upload: chunks are committed as they arrive, so that a slow client holds no transaction, and the
    -- upload's row comes last. What a broken client leaves is swept by the age in its UUIDv7.
    PRIMARY KEY (territory_id, upload_id, seq)
);
GRANT SELECT, INSERT, DELETE ON upload, upload_chunk TO preau_app;
ALTER TABLE upload ENABLE ROW LEVEL SECURITY;
ALTER TABLE upload FORCE ROW LEVEL SECURITY;
ALTER TABLE upload_chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE upload_chunk FORCE ROW LEVEL SECURITY;
CREATE POLICY upload_same_territory ON upload
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY upload_chunk_same_territory ON upload_chunk
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
