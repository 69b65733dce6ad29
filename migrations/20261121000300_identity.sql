-- Identity: login names, accounts, secrets at rest, session families, revocations.

SET LOCAL lock_timeout = '2s';

-- Login names are unique in an installation and never reused. Their own table, keyed by the name, so that one shard
-- answers "who is this" (reference/scale.md §1.3 rule 20).
CREATE TABLE login (
    login         text NOT NULL PRIMARY KEY CONSTRAINT login_shape CHECK (login ~ '^[a-z0-9][a-z0-9.-]{1,79}$'),
    person_id     uuid NOT NULL,
    territory_id  uuid NOT NULL
);
GRANT SELECT, INSERT ON login TO preau_app;
ALTER TABLE login ENABLE ROW LEVEL SECURITY;
ALTER TABLE login FORCE ROW LEVEL SECURITY;
CREATE POLICY login_lookup ON login FOR SELECT USING (current_setting('app.lookup', true) = 'on');
-- A name taken in another territory is taken: the merge must see it to choose the next number.
CREATE POLICY login_feed_read ON login FOR SELECT
    USING (nullif(current_setting('app.territory_id', true), '') IS NOT NULL);
CREATE POLICY login_feed_write ON login FOR INSERT
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

CREATE TABLE account (
    person_id           uuid        NOT NULL PRIMARY KEY,
    territory_id        uuid        NOT NULL,
    login               text        NOT NULL,
    state               text        NOT NULL CONSTRAINT account_state_known CHECK (state IN ('imported', 'active', 'blocked')),
    terms_version       text        NOT NULL DEFAULT '',
    permission_version  integer     NOT NULL DEFAULT 1,
    activated_at        timestamptz,
    updated_at          timestamptz NOT NULL
);
CREATE INDEX account_by_territory ON account (territory_id, person_id);
GRANT SELECT, INSERT, UPDATE ON account TO preau_app;
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
ALTER TABLE account FORCE ROW LEVEL SECURITY;
CREATE POLICY account_own ON account
    USING (person_id = nullif(current_setting('app.person_id', true), '')::uuid)
    WITH CHECK (person_id = nullif(current_setting('app.person_id', true), '')::uuid);
CREATE POLICY account_territory ON account
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- Only the person's own transaction reads or writes a secret.
CREATE TABLE credential (
    person_id   uuid        NOT NULL,
    kind        text        NOT NULL CONSTRAINT credential_kind_known CHECK (kind IN ('password')),
    secret      text        NOT NULL,      -- a PHC string
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (person_id, kind)
);
CREATE TABLE activation_code (
    person_id   uuid        NOT NULL PRIMARY KEY,
    code_hash   bytea       NOT NULL,      -- SHA-256 of a 65-bit code
    made_by     uuid,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
-- One row a signed-in device. Truth; Redis holds a working copy.
CREATE TABLE session_family (
    person_id      uuid        NOT NULL,
    family_id      uuid        NOT NULL,
    current_hash   bytea       NOT NULL,
    previous_hash  bytea,
    rotated_at     timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    trusted        boolean     NOT NULL,
    device         text        NOT NULL CONSTRAINT session_family_device_length CHECK (char_length(device) <= 80),
    revoked_at     timestamptz,
    revoked_why    text        CONSTRAINT session_family_revoked_why_known
        CHECK (revoked_why IN ('sign-out', 'revoked', 'reuse', 'password-changed', 'blocked')),
    PRIMARY KEY (person_id, family_id)
);
-- What every node re-reads each second; `at` is the database's clock, so that nodes' clocks do not matter.
CREATE TABLE revocation (
    person_id           uuid        NOT NULL,
    revocation_id       uuid        NOT NULL,
    family_id           uuid,              -- null: all of the person's families
    permission_version  integer,           -- set: only tokens older than this version
    at                  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_id, revocation_id)
);
CREATE INDEX revocation_by_at ON revocation (at);
-- Failed sign-ins by identifier, kept here only while Redis cannot (reference/security-reliability.md §6.4).
CREATE TABLE sign_in_failure (
    identifier_hash  bytea       NOT NULL PRIMARY KEY,
    failures         integer     NOT NULL,
    window_started_at timestamptz NOT NULL,
    locked_until     timestamptz
);

GRANT SELECT, INSERT, UPDATE, DELETE ON credential, activation_code, sign_in_failure TO preau_app;
GRANT SELECT, INSERT, UPDATE ON session_family TO preau_app;
GRANT SELECT, INSERT, DELETE ON revocation TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['credential', 'activation_code', 'session_family', 'revocation']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (person_id = nullif(current_setting(''app.person_id'', true), '''')::uuid)
            WITH CHECK (person_id = nullif(current_setting(''app.person_id'', true), '''')::uuid)', t || '_own', t);
    END LOOP;
END
$$;
CREATE POLICY revocation_lookup ON revocation FOR SELECT USING (current_setting('app.lookup', true) = 'on');
CREATE POLICY revocation_sweep ON revocation FOR DELETE USING (current_setting('app.lookup', true) = 'on');
-- A feed that ends a membership must be able to say so.
CREATE POLICY revocation_feed ON revocation FOR INSERT
    WITH CHECK (nullif(current_setting('app.territory_id', true), '') IS NOT NULL
        AND EXISTS (SELECT 1 FROM account a WHERE a.person_id = revocation.person_id));
ALTER TABLE sign_in_failure ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_in_failure FORCE ROW LEVEL SECURITY;
CREATE POLICY sign_in_failure_lookup ON sign_in_failure
    USING (current_setting('app.lookup', true) = 'on')
    WITH CHECK (current_setting('app.lookup', true) = 'on');
