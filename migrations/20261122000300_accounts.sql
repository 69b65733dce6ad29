-- Accounts: where one stands, what stops it, how it is found again, and what its owner says of themself.
--
-- Expand step: a release that knows only 'imported' and 'active' goes on working; it does not see a block.

SET LOCAL lock_timeout = '2s';

-- Being blocked is no longer a state: it has an end, a reason, and leaves the state as it was. The owner is bound by
-- row-level security too, and sees no row in the move below unless it is let off for its time.
ALTER TABLE account
    ADD COLUMN blocked_at     timestamptz,
    ADD COLUMN blocked_until  timestamptz,     -- null: until somebody lifts it
    ADD COLUMN block_reason   text NOT NULL DEFAULT '' CONSTRAINT account_block_reason_length CHECK (char_length(block_reason) <= 200),
    ADD COLUMN blocked_by     uuid,
    ADD COLUMN pre_deleted_at timestamptz,
    ADD COLUMN deleted_at     timestamptz,
    ADD COLUMN merged_into    uuid;
ALTER TABLE account NO FORCE ROW LEVEL SECURITY;
UPDATE account SET state = 'active', blocked_at = updated_at WHERE state = 'blocked';
ALTER TABLE account FORCE ROW LEVEL SECURITY;
ALTER TABLE account DROP CONSTRAINT account_state_known;
ALTER TABLE account ADD CONSTRAINT account_state_known
    CHECK (state IN ('imported', 'active', 'pre-deleted', 'deleted', 'merged'));

-- What the person gave by hand is theirs: no feed takes it back.
ALTER TABLE person
    ADD COLUMN email_origin         text NOT NULL DEFAULT 'feed'
        CONSTRAINT person_email_origin_known CHECK (email_origin IN ('feed', 'hand')),
    ADD COLUMN email_confirmed_at   timestamptz,
    ADD COLUMN mobile_origin        text NOT NULL DEFAULT 'feed'
        CONSTRAINT person_mobile_origin_known CHECK (mobile_origin IN ('feed', 'hand')),
    ADD COLUMN mobile_confirmed_at  timestamptz;
CREATE POLICY person_own_contact ON person FOR UPDATE
    USING (person_id = nullif(current_setting('app.person_id', true), '')::uuid)
    WITH CHECK (person_id = nullif(current_setting('app.person_id', true), '')::uuid);
-- Who is behind an address: the lookup scope sees the people of the one address it has named, in hexadecimal.
CREATE POLICY person_of_email ON person FOR SELECT
    USING (current_setting('app.lookup', true) = 'on'
        AND lower(email) = convert_from(decode(nullif(current_setting('app.email', true), ''), 'hex'), 'UTF8'));

-- Codes for a class are made in one statement, in the scope of the school's territory.
ALTER TABLE activation_code ADD COLUMN territory_id uuid;
CREATE POLICY activation_code_territory ON activation_code
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- What a school lets the teachers of a class do to its accounts, and where a young pupil's lost password goes. No row:
-- everything is let, and the pupil's own address is used.
CREATE TABLE account_rule (
    school_id                uuid        NOT NULL PRIMARY KEY,
    add_users                boolean     NOT NULL,
    reset_passwords          boolean     NOT NULL,
    block                    boolean     NOT NULL,
    delete_users             boolean     NOT NULL,
    unlink                   boolean     NOT NULL,
    import_csv               boolean     NOT NULL,
    young_resets_to_teacher  boolean     NOT NULL,
    updated_at               timestamptz NOT NULL,
    updated_by               uuid        NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON account_rule TO preau_app;
ALTER TABLE account_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY account_rule_same_school ON account_rule
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = nullif(current_setting('app.school_id', true), '')::uuid);

-- A whole profile of a school that is shut out. There is a row while it is: lifting deletes it, the journal remembers.
-- Whoever signs in asks for it before any school is known, and it says nothing of anybody: every scope reads it.
CREATE TABLE profile_block (
    school_id      uuid        NOT NULL,
    role           text        NOT NULL CONSTRAINT profile_block_role_known CHECK (role IN ('pupil', 'guardian', 'teacher', 'staff')),
    reason         text        NOT NULL CONSTRAINT profile_block_reason_length CHECK (char_length(reason) <= 200),
    blocked_by     uuid        NOT NULL,
    blocked_at     timestamptz NOT NULL,
    blocked_until  timestamptz,
    PRIMARY KEY (school_id, role)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON profile_block TO preau_app;
ALTER TABLE profile_block ENABLE ROW LEVEL SECURITY;
ALTER TABLE profile_block FORCE ROW LEVEL SECURITY;
-- Whoever comes in must learn that their profile is shut out, and the worker of a territory that a block has ended.
CREATE POLICY profile_block_person ON profile_block FOR SELECT
    USING (nullif(current_setting('app.person_id', true), '') IS NOT NULL);
CREATE POLICY profile_block_work ON profile_block FOR SELECT
    USING (nullif(current_setting('app.territory_id', true), '') IS NOT NULL);
CREATE POLICY profile_block_same_school ON profile_block
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = nullif(current_setting('app.school_id', true), '')::uuid);

-- Ways back in for who has lost a password, a few at a time: asking again must not void the link that has just been sent.
CREATE TABLE recovery (
    person_id    uuid        NOT NULL,
    kind         text        NOT NULL CONSTRAINT recovery_kind_known CHECK (kind IN ('mail', 'sms', 'handed')),
    secret_hash  bytea       NOT NULL,     -- SHA-256 of 256 or 65 random bits; of a short code, a keyed hash
    made_by      uuid,
    tries        integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (person_id, kind, secret_hash)
);
-- An address or a number that its owner has not confirmed yet.
CREATE TABLE contact_change (
    person_id   uuid        NOT NULL,
    kind        text        NOT NULL CONSTRAINT contact_change_kind_known CHECK (kind IN ('email', 'mobile')),
    value       text        NOT NULL CONSTRAINT contact_change_value_length CHECK (char_length(value) BETWEEN 3 AND 254),
    code_hash   bytea       NOT NULL,      -- keyed: six digits are soon tried
    link_hash   bytea       NOT NULL,
    tries       integer     NOT NULL DEFAULT 0,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (person_id, kind)
);
-- Which versions of the terms a person has accepted, and when.
CREATE TABLE terms_acceptance (
    person_id    uuid        NOT NULL,
    version      text        NOT NULL,
    accepted_at  timestamptz NOT NULL,
    PRIMARY KEY (person_id, version)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON recovery, contact_change TO preau_app;
GRANT SELECT, INSERT ON terms_acceptance TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['recovery', 'contact_change', 'terms_acceptance']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (person_id = nullif(current_setting(''app.person_id'', true), '''')::uuid)
            WITH CHECK (person_id = nullif(current_setting(''app.person_id'', true), '''')::uuid)', t || '_own', t);
    END LOOP;
END
$$;

-- Versions of the terms of use, public as their text is. The one in force is the last one published.
CREATE TABLE terms (
    version       text        NOT NULL PRIMARY KEY CONSTRAINT terms_version_shape CHECK (version ~ '^[a-z0-9.-]{1,40}$'),
    published_at  timestamptz NOT NULL,
    text_ref      text        NOT NULL     -- where the text is: a path of this site, or an https address
);
INSERT INTO terms (version, published_at, text_ref) VALUES ('2026-09', '2026-09-01T00:00:00Z', '/conditions');
GRANT SELECT, INSERT ON terms TO preau_app;
ALTER TABLE terms ENABLE ROW LEVEL SECURITY;
ALTER TABLE terms FORCE ROW LEVEL SECURITY;
CREATE POLICY terms_read ON terms FOR SELECT USING (true);
CREATE POLICY terms_lookup ON terms FOR INSERT WITH CHECK (current_setting('app.lookup', true) = 'on');

-- What somebody at the door asks to be sent, before it is known whether there is anybody. One row an identifier.
CREATE TABLE recovery_request (
    identifier_hash  bytea       NOT NULL PRIMARY KEY,
    sealed           bytea       NOT NULL,
    created_at       timestamptz NOT NULL,
    due_at           timestamptz NOT NULL,
    attempts         integer     NOT NULL DEFAULT 0
);
CREATE INDEX recovery_request_by_due ON recovery_request (due_at);
-- Several people on one device. The device's secret is in its cookie; here is its hash.
CREATE TABLE device_profile (
    device_hash  bytea       NOT NULL,
    person_id    uuid        NOT NULL,
    family_id    uuid        NOT NULL,
    pin_hash     bytea       NOT NULL,     -- keyed, with the device's secret in it
    wrong        integer     NOT NULL DEFAULT 0,
    added_at     timestamptz NOT NULL,
    used_at      timestamptz NOT NULL,
    PRIMARY KEY (device_hash, person_id)
);
-- Messages that wait to leave: sealed, since they hold addresses and links.
CREATE TABLE post_message (
    message_id  uuid        NOT NULL PRIMARY KEY,
    channel     text        NOT NULL CONSTRAINT post_message_channel_known CHECK (channel IN ('mail', 'sms')),
    sealed      bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,      -- a link that has run out is not sent
    attempts    integer     NOT NULL DEFAULT 0
);
CREATE INDEX post_message_by_due ON post_message (due_at);
-- What was sent to a recipient, and for a school, within an hour. Keyed hashes.
CREATE TABLE post_budget (
    bucket             bytea       NOT NULL PRIMARY KEY,
    window_started_at  timestamptz NOT NULL,
    used               integer     NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON recovery_request, device_profile, post_message, post_budget TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['recovery_request', 'device_profile', 'post_message', 'post_budget']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (current_setting(''app.lookup'', true) = ''on'')
            WITH CHECK (current_setting(''app.lookup'', true) = ''on'')', t || '_lookup', t);
    END LOOP;
END
$$;
-- A message is written with the change that causes it, in whichever scope that is. Nobody but the lookup scope reads it.
CREATE POLICY post_message_write ON post_message FOR INSERT WITH CHECK (true);
