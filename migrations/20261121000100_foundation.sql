-- Foundation: who the tenants are, and what every feature leans on (keys, journal, outbox, idempotency, jobs).
--
-- Expand step on an empty database.

SET LOCAL lock_timeout = '2s';

-- The application signs in as a role that owns nothing, or row-level security would not bind it. Operators create it
-- with a password of their own; a development database gets it here.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'preau_app') THEN
        CREATE ROLE preau_app LOGIN;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA public TO preau_app;

-- What kind of installation this is. A demo database may hold shared password hashes; a real one never does.
CREATE TABLE installation (
    one         boolean     NOT NULL DEFAULT true PRIMARY KEY CHECK (one),
    demo        boolean     NOT NULL,
    created_at  timestamptz NOT NULL
);
GRANT SELECT ON installation TO preau_app;

-- A territory (académie, département, région) owns schools; its storm is not its neighbour's.
CREATE TABLE territory (
    territory_id  uuid        NOT NULL PRIMARY KEY,
    slug          text        NOT NULL CONSTRAINT territory_slug_shape CHECK (slug ~ '^[a-z0-9-]{1,40}$'),
    name          text        NOT NULL CONSTRAINT territory_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    created_at    timestamptz NOT NULL,
    CONSTRAINT territory_slug_key UNIQUE (slug)
);
GRANT SELECT, INSERT ON territory TO preau_app;
ALTER TABLE territory ENABLE ROW LEVEL SECURITY;
ALTER TABLE territory FORCE ROW LEVEL SECURITY;
-- A territory's name is public; only its own scope writes it.
CREATE POLICY territory_read ON territory FOR SELECT USING (true);
CREATE POLICY territory_own ON territory FOR INSERT
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- A school (établissement): the tenant. UAI, name and zone are public facts, so every scope may read them.
CREATE TABLE school (
    school_id     uuid        NOT NULL PRIMARY KEY,
    territory_id  uuid        NOT NULL CONSTRAINT school_territory_fk REFERENCES territory (territory_id),
    uai           text        NOT NULL CONSTRAINT school_uai_shape CHECK (uai ~ '^[0-9]{7}[A-Z]$'),
    name          text        NOT NULL CONSTRAINT school_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    kind          text        NOT NULL CONSTRAINT school_kind_known CHECK (kind IN ('primary', 'college', 'lycee', 'other')),
    tz            text        NOT NULL,  -- IANA name; lessons are always shown in it
    holiday_zone  text        NOT NULL CONSTRAINT school_holiday_zone_known CHECK (holiday_zone IN ('A', 'B', 'C', 'Corse', 'Outre-mer')),
    city          text        NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT school_uai_key UNIQUE (uai)
);
CREATE INDEX school_by_territory ON school (territory_id, school_id);
GRANT SELECT, INSERT, UPDATE ON school TO preau_app;
ALTER TABLE school ENABLE ROW LEVEL SECURITY;
ALTER TABLE school FORCE ROW LEVEL SECURITY;
CREATE POLICY school_read ON school FOR SELECT USING (true);
CREATE POLICY school_territory_insert ON school FOR INSERT
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY school_territory_update ON school FOR UPDATE
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- Signing and sealing keys, each sealed by the configured master key. Every node re-reads them each minute.
CREATE TABLE key_ring (
    kid         uuid        NOT NULL PRIMARY KEY,
    purpose     text        NOT NULL CONSTRAINT key_ring_purpose_known CHECK (purpose IN ('access', 'cursor')),
    sealed      bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    retire_at   timestamptz NOT NULL
);
CREATE INDEX key_ring_by_purpose ON key_ring (purpose, created_at);
GRANT SELECT, INSERT, DELETE ON key_ring TO preau_app;
ALTER TABLE key_ring ENABLE ROW LEVEL SECURITY;
ALTER TABLE key_ring FORCE ROW LEVEL SECURITY;
CREATE POLICY key_ring_lookup ON key_ring
    USING (current_setting('app.lookup', true) = 'on')
    WITH CHECK (current_setting('app.lookup', true) = 'on');

-- Journal of administrative acts: one hash chain a school or territory. Rows are only ever added.
CREATE TABLE journal_head (
    chain_id  uuid   NOT NULL PRIMARY KEY,  -- a school_id or a territory_id
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON journal_head TO preau_app;
CREATE TABLE journal (
    chain_id   uuid        NOT NULL,
    seq        bigint      NOT NULL,
    at         timestamptz NOT NULL,
    actor_id   uuid,                       -- null: the installation's own operator
    act        text        NOT NULL CONSTRAINT journal_act_shape CHECK (act ~ '^[a-z-]+\.[a-z-]+$'),
    subject_id uuid,
    detail     jsonb       NOT NULL,       -- codes and counts, never names
    prev_hash  bytea       NOT NULL,
    hash       bytea       NOT NULL,
    PRIMARY KEY (chain_id, seq)
);
GRANT SELECT, INSERT ON journal TO preau_app;
ALTER TABLE journal_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal_head FORCE ROW LEVEL SECURITY;
ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal FORCE ROW LEVEL SECURITY;
CREATE POLICY journal_head_own_chain ON journal_head
    USING (chain_id = nullif(current_setting('app.school_id', true), '')::uuid
        OR chain_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (chain_id = nullif(current_setting('app.school_id', true), '')::uuid
        OR chain_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY journal_own_chain ON journal
    USING (chain_id = nullif(current_setting('app.school_id', true), '')::uuid
        OR chain_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (chain_id = nullif(current_setting('app.school_id', true), '')::uuid
        OR chain_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- Side effects leave by here, written with the change that causes them.
CREATE TABLE outbox (
    school_id   uuid        NOT NULL,
    outbox_id   uuid        NOT NULL,      -- UUIDv7; consumers dedupe on it
    topic       text        NOT NULL CONSTRAINT outbox_topic_shape CHECK (topic ~ '^[a-z-]+\.[a-z-]+$'),
    payload     jsonb       NOT NULL,
    created_at  timestamptz NOT NULL,
    attempts    integer     NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    PRIMARY KEY (school_id, outbox_id)
);
CREATE INDEX outbox_by_due ON outbox (school_id, due_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO preau_app;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY outbox_same_school ON outbox
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = nullif(current_setting('app.school_id', true), '')::uuid);

-- The answer to a keyed write, kept 72 h in the transaction that had the effect (DESIGN §7).
CREATE TABLE idempotency (
    scope_id    uuid        NOT NULL,      -- the school, person or territory whose transaction it is
    person_id   uuid        NOT NULL,
    key         text        NOT NULL CONSTRAINT idempotency_key_length CHECK (char_length(key) BETWEEN 8 AND 80),
    operation   text        NOT NULL,
    body_hash   bytea       NOT NULL,
    status      smallint,                  -- null only inside the first transaction, before its effect
    response    jsonb,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (scope_id, person_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (scope_id, created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO preau_app;
ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency FORCE ROW LEVEL SECURITY;
CREATE POLICY idempotency_own_scope ON idempotency
    USING (scope_id = nullif(current_setting('app.school_id', true), '')::uuid
        OR scope_id = nullif(current_setting('app.person_id', true), '')::uuid
        OR scope_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (scope_id = nullif(current_setting('app.school_id', true), '')::uuid
        OR scope_id = nullif(current_setting('app.person_id', true), '')::uuid
        OR scope_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- Long work as a resource: progress, cancel, resume. A worker claims inside one territory.
CREATE TABLE job (
    territory_id      uuid        NOT NULL,
    job_id            uuid        NOT NULL,
    kind              text        NOT NULL CONSTRAINT job_kind_shape CHECK (kind ~ '^[a-z-]{1,40}$'),
    state             text        NOT NULL CONSTRAINT job_state_known
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    params            jsonb       NOT NULL,
    phase             text        NOT NULL DEFAULT '',
    done              bigint      NOT NULL DEFAULT 0,
    total             bigint,
    report            jsonb,
    cancel_requested  boolean     NOT NULL DEFAULT false,
    attempts          integer     NOT NULL DEFAULT 0,
    created_by        uuid,
    created_at        timestamptz NOT NULL,
    started_at        timestamptz,
    heartbeat_at      timestamptz,
    finished_at       timestamptz,
    PRIMARY KEY (territory_id, job_id)
);
CREATE INDEX job_by_state ON job (territory_id, state, created_at);
GRANT SELECT, INSERT, UPDATE ON job TO preau_app;
ALTER TABLE job ENABLE ROW LEVEL SECURITY;
ALTER TABLE job FORCE ROW LEVEL SECURITY;
CREATE POLICY job_same_territory ON job
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
