-- Second factors: what proves a person beside the password, what was tried, and what the owner of an account is told of.
--
-- Everything here is a person's own, read and written in the person's own transaction: no school and no administrator
-- sees a secret.

SET LOCAL lock_timeout = '2s';

-- Said with the other facts of a sign-in, so that people without a second factor pay nothing for it. Written in the
-- transaction that adds or removes a factor. Devices that were trusted before `factors_changed_at` are asked again.
ALTER TABLE account
    ADD COLUMN second_factor       boolean NOT NULL DEFAULT false,
    ADD COLUMN factors_changed_at  timestamptz;

-- When the holder of a device last proved again who they are (`Policy::sudo`).
ALTER TABLE session_family ADD COLUMN strong_at timestamptz;

CREATE TABLE totp_factor (
    person_id     uuid        NOT NULL PRIMARY KEY,
    sealed        bytea       NOT NULL,      -- the secret, sealed under a key derived from the master key
    last_step     bigint      NOT NULL,      -- each step of 30 seconds is accepted once, and only forwards
    confirmed_at  timestamptz NOT NULL
);
CREATE TABLE passkey (
    person_id      uuid        NOT NULL,
    passkey_id     uuid        NOT NULL,
    credential_id  bytea       NOT NULL CONSTRAINT passkey_credential_id_length CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    credential     jsonb       NOT NULL,     -- public key, counter and flags, as webauthn-rs writes them
    name           text        NOT NULL CONSTRAINT passkey_name_length CHECK (char_length(name) BETWEEN 1 AND 60),
    created_at     timestamptz NOT NULL,
    last_used_at   timestamptz,
    PRIMARY KEY (person_id, passkey_id),
    CONSTRAINT passkey_credential_once UNIQUE (person_id, credential_id)
);
CREATE TABLE recovery_code (
    person_id  uuid        NOT NULL,
    code_hash  bytea       NOT NULL,         -- keyed hash of an 80-bit code
    used_at    timestamptz,
    PRIMARY KEY (person_id, code_hash)
);
-- Challenges that were answered, rightly or not: five answers each, one right one. Forgotten an hour after their end.
CREATE TABLE factor_challenge (
    person_id     uuid        NOT NULL,
    challenge_id  uuid        NOT NULL,
    answers       integer     NOT NULL,
    used_at       timestamptz,
    ends_at       timestamptz NOT NULL,
    PRIMARY KEY (person_id, challenge_id)
);
-- Codes tried by somebody who already knew the password: so many an hour, whatever the node and the challenge.
CREATE TABLE factor_guess (
    person_id          uuid        NOT NULL PRIMARY KEY,
    guesses            integer     NOT NULL,
    window_started_at  timestamptz NOT NULL
);
-- What the owner of an account is told of: never by whom a wrong secret was typed, never an address.
CREATE TABLE security_event (
    person_id  uuid        NOT NULL,
    event_id   uuid        NOT NULL,
    kind       text        NOT NULL CONSTRAINT security_event_kind_shape CHECK (kind ~ '^[a-z-]{1,40}$'),
    device     text        NOT NULL CONSTRAINT security_event_device_length CHECK (char_length(device) <= 80),
    at         timestamptz NOT NULL,
    PRIMARY KEY (person_id, event_id)
);

-- Whether teachers must have a second factor: said by a territory for its schools, or by a school for itself. No row: it
-- is offered to them. (Staff and administrators must, always.) Asked at sign-in, and no secret: every scope reads it.
CREATE TABLE factor_policy (
    scope_id          uuid        NOT NULL PRIMARY KEY,
    teachers_must     boolean     NOT NULL,
    updated_at        timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON factor_policy TO preau_app;
ALTER TABLE factor_policy ENABLE ROW LEVEL SECURITY;
ALTER TABLE factor_policy FORCE ROW LEVEL SECURITY;
CREATE POLICY factor_policy_read ON factor_policy FOR SELECT USING (true);
CREATE POLICY factor_policy_insert ON factor_policy FOR INSERT
    WITH CHECK (scope_id IN (nullif(current_setting('app.school_id', true), '')::uuid,
                             nullif(current_setting('app.territory_id', true), '')::uuid));
CREATE POLICY factor_policy_update ON factor_policy FOR UPDATE
    USING (scope_id IN (nullif(current_setting('app.school_id', true), '')::uuid,
                        nullif(current_setting('app.territory_id', true), '')::uuid))
    WITH CHECK (scope_id IN (nullif(current_setting('app.school_id', true), '')::uuid,
                             nullif(current_setting('app.territory_id', true), '')::uuid));

GRANT SELECT, INSERT, UPDATE, DELETE ON totp_factor, passkey, recovery_code, factor_challenge, factor_guess TO preau_app;
GRANT SELECT, INSERT, DELETE ON security_event TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['totp_factor', 'passkey', 'recovery_code', 'factor_challenge', 'factor_guess', 'security_event']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (person_id = nullif(current_setting(''app.person_id'', true), '''')::uuid)
            WITH CHECK (person_id = nullif(current_setting(''app.person_id'', true), '''')::uuid)', t || '_own', t);
    END LOOP;
END
$$;
