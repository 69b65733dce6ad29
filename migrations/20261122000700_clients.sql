-- API clients: programs that speak for a school or a territory, what they may ask for, and how much of people's data any
-- one credential reads in a day without a second person's agreement.
--
-- Expand step: new tables only.

SET LOCAL lock_timeout = '2s';

-- A client, of the territory or of one school (`owner_school`). It touches the schools listed and no other.
CREATE TABLE api_client (
    client_id      uuid        NOT NULL PRIMARY KEY,
    territory_id   uuid        NOT NULL,
    owner_school   uuid,                   -- null: the territory's own
    name           text        NOT NULL CONSTRAINT api_client_name_length CHECK (char_length(name) BETWEEN 1 AND 120),
    purpose        text        NOT NULL CONSTRAINT api_client_purpose_length CHECK (char_length(purpose) BETWEEN 10 AND 500),
    contact        text        NOT NULL CONSTRAINT api_client_contact_length CHECK (char_length(contact) BETWEEN 3 AND 200),
    scopes         text[]      NOT NULL CONSTRAINT api_client_some_scope CHECK (cardinality(scopes) BETWEEN 1 AND 16),
    schools        uuid[]      NOT NULL CONSTRAINT api_client_few_schools CHECK (cardinality(schools) <= 50),
    per_minute     integer     NOT NULL CONSTRAINT api_client_per_minute_range CHECK (per_minute BETWEEN 1 AND 6000),
    version        integer     NOT NULL DEFAULT 1,
    created_by     uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    CONSTRAINT api_client_school_keeps_to_itself CHECK (owner_school IS NULL OR schools = ARRAY[owner_school])
);
CREATE INDEX api_client_by_territory ON api_client (territory_id, client_id);
GRANT SELECT, INSERT, UPDATE ON api_client TO preau_app;
ALTER TABLE api_client ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_client FORCE ROW LEVEL SECURITY;
CREATE POLICY api_client_territory ON api_client
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY api_client_school ON api_client
    USING (owner_school = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (owner_school = nullif(current_setting('app.school_id', true), '')::uuid
        AND EXISTS (SELECT FROM school s WHERE s.school_id = owner_school AND s.territory_id = api_client.territory_id));
-- A school sees every client that touches it, the territory's included; it does not change those.
CREATE POLICY api_client_touches ON api_client FOR SELECT
    USING (nullif(current_setting('app.school_id', true), '')::uuid = ANY (schools));
-- Who is this, at the door.
CREATE POLICY api_client_lookup ON api_client FOR SELECT USING (current_setting('app.lookup', true) = 'on');

-- Its secrets: two live at most, so that one replaces the other without a gap. SHA-256 of 256 random bits.
CREATE TABLE api_client_secret (
    client_id     uuid        NOT NULL,
    secret_id     uuid        NOT NULL,
    hash          bytea       NOT NULL CONSTRAINT api_client_secret_hash_length CHECK (octet_length(hash) = 32),
    created_at    timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    last_used_at  timestamptz,             -- to the hour
    PRIMARY KEY (client_id, secret_id)
);
GRANT SELECT, INSERT, UPDATE ON api_client_secret TO preau_app;
ALTER TABLE api_client_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_client_secret FORCE ROW LEVEL SECURITY;
CREATE POLICY api_client_secret_owner ON api_client_secret
    USING (EXISTS (SELECT FROM api_client c WHERE c.client_id = api_client_secret.client_id
        AND (c.owner_school = nullif(current_setting('app.school_id', true), '')::uuid
            OR c.territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)))
    WITH CHECK (EXISTS (SELECT FROM api_client c WHERE c.client_id = api_client_secret.client_id
        AND (c.owner_school = nullif(current_setting('app.school_id', true), '')::uuid
            OR c.territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)));
CREATE POLICY api_client_secret_lookup ON api_client_secret FOR SELECT USING (current_setting('app.lookup', true) = 'on');
-- The door writes the hour of the last use.
CREATE POLICY api_client_secret_used ON api_client_secret FOR UPDATE
    USING (current_setting('app.lookup', true) = 'on')
    WITH CHECK (current_setting('app.lookup', true) = 'on');

-- A client or a secret that no longer counts is told to every node as a session is.
CREATE POLICY revocation_client ON revocation FOR INSERT
    WITH CHECK (EXISTS (SELECT FROM api_client c WHERE c.client_id = revocation.person_id
        AND (c.owner_school = nullif(current_setting('app.school_id', true), '')::uuid
            OR c.territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)));

-- Requests of the running minute, leased to nodes a tenth at a time. One row a client.
CREATE TABLE api_client_minute (
    client_id     uuid        NOT NULL PRIMARY KEY,
    territory_id  uuid        NOT NULL,
    minute        timestamptz NOT NULL,
    leased        integer     NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON api_client_minute TO preau_app;
ALTER TABLE api_client_minute ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_client_minute FORCE ROW LEVEL SECURITY;
CREATE POLICY api_client_minute_territory ON api_client_minute
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- Records of people that a credential (a client, or an administrator who exports) reads in a day without anybody's
-- agreement, leased to nodes some at a time: in one school, that of the day's first reading.
CREATE TABLE read_budget (
    territory_id   uuid    NOT NULL,
    credential_id  uuid    NOT NULL,
    day            date    NOT NULL,        -- of UTC
    free_school    uuid    NOT NULL,
    leased         integer NOT NULL,
    PRIMARY KEY (territory_id, credential_id, day)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON read_budget TO preau_app;
ALTER TABLE read_budget ENABLE ROW LEVEL SECURITY;
ALTER TABLE read_budget FORCE ROW LEVEL SECURITY;
CREATE POLICY read_budget_territory ON read_budget
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- More than that, in one school, until a day: asked by one person and agreed to by another.
CREATE TABLE read_approval (
    school_id        uuid        NOT NULL,
    approval_id      uuid        NOT NULL,
    territory_id     uuid        NOT NULL,
    credential_id    uuid        NOT NULL,
    for_client       boolean     NOT NULL,
    state            text        NOT NULL CONSTRAINT read_approval_state_known CHECK (state IN ('asked', 'granted', 'refused', 'ended')),
    records_per_day  integer     NOT NULL CONSTRAINT read_approval_records_range CHECK (records_per_day BETWEEN 1 AND 100000),
    ends_on          date        NOT NULL,
    reason           text        NOT NULL CONSTRAINT read_approval_reason_length CHECK (char_length(reason) BETWEEN 10 AND 500),
    asked_by         uuid        NOT NULL,
    asked_at         timestamptz NOT NULL,
    decided_by       uuid,
    decided_at       timestamptz,
    decision_reason  text        CONSTRAINT read_approval_decision_reason_length CHECK (char_length(decision_reason) BETWEEN 10 AND 500),
    PRIMARY KEY (school_id, approval_id),
    -- The last wall: nobody agrees with themselves.
    CONSTRAINT read_approval_second_person CHECK (decided_by <> asked_by AND decided_by <> credential_id),
    CONSTRAINT read_approval_decided CHECK ((state = 'asked') = (decided_by IS NULL))
);
CREATE INDEX read_approval_in_force ON read_approval (school_id, credential_id) WHERE state = 'granted';
CREATE INDEX read_approval_by_territory ON read_approval (territory_id, approval_id);
GRANT SELECT, INSERT, UPDATE ON read_approval TO preau_app;
ALTER TABLE read_approval ENABLE ROW LEVEL SECURITY;
ALTER TABLE read_approval FORCE ROW LEVEL SECURITY;
CREATE POLICY read_approval_school ON read_approval
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = nullif(current_setting('app.school_id', true), '')::uuid);
CREATE POLICY read_approval_territory ON read_approval FOR SELECT
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- What was leased of an approval in a day.
CREATE TABLE read_approval_use (
    school_id     uuid    NOT NULL,
    approval_id   uuid    NOT NULL,
    day           date    NOT NULL,
    territory_id  uuid    NOT NULL,
    leased        integer NOT NULL,
    PRIMARY KEY (school_id, approval_id, day)
);
GRANT SELECT, INSERT, UPDATE ON read_approval_use TO preau_app;
ALTER TABLE read_approval_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE read_approval_use FORCE ROW LEVEL SECURITY;
CREATE POLICY read_approval_use_territory ON read_approval_use
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY read_approval_use_school ON read_approval_use FOR SELECT
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid);
