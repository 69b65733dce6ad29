-- Feeds: what a delivery says, before it is believed, and how far its merge has got.
--
-- Staging is UNLOGGED: a crash loses it, and the feed stages again. Progress is logged. Everything here belongs to a
-- territory and its rows go when the feed is done (purpose: the import itself; nothing reads it afterwards).

SET LOCAL lock_timeout = '2s';

-- A delivery that has been staged whole. No row: nothing below is complete.
CREATE TABLE feed_delivery (
    territory_id  uuid        NOT NULL,
    job_id        uuid        NOT NULL,
    academy       text        NOT NULL,    -- from the headers; join keys are unique per academy only
    kinds         text[]      NOT NULL,    -- kinds of objects delivered: of the others, nobody is missing
    report        jsonb       NOT NULL,    -- codes, places and counts; no names of people
    staged_at     timestamptz NOT NULL,
    PRIMARY KEY (territory_id, job_id)
);
-- Where each school of a feed has got to, so that a killed feed resumes at the next school.
CREATE TABLE feed_school (
    territory_id  uuid        NOT NULL,
    job_id        uuid        NOT NULL,
    school_key    text        NOT NULL,    -- ENTStructureJointure
    merged_at     timestamptz,
    failure       text,                    -- code, when the school was left untouched
    PRIMARY KEY (territory_id, job_id, school_key)
);
-- How timetables name a teacher (ENTPersonSTSId).
CREATE TABLE sts_key (
    territory_id  uuid NOT NULL,
    academy       text NOT NULL,
    sts_id        text NOT NULL,
    person_id     uuid NOT NULL,
    PRIMARY KEY (territory_id, academy, sts_id)
);
CREATE INDEX sts_key_by_id ON sts_key (territory_id, sts_id);
-- The numbers given so far to people of one name, in the whole installation: login names are never reused.
CREATE TABLE login_stem (
    stem   text    NOT NULL PRIMARY KEY,
    taken  integer NOT NULL
);

CREATE UNLOGGED TABLE stage_school (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, uai text NOT NULL, name text NOT NULL, kind text NOT NULL, tz text NOT NULL,
    holiday_zone text NOT NULL, city text NOT NULL
);
CREATE UNLOGGED TABLE stage_person (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    kind text NOT NULL,                    -- pupil, guardian, staff
    join_key text NOT NULL, last_name text NOT NULL, first_name text NOT NULL, title text NOT NULL, birth_on date,
    ine text, siecle_id text, email text, mobile text, mef_code text NOT NULL, level text NOT NULL,
    login_stem text NOT NULL, search text NOT NULL, sts_ids text[] NOT NULL
);
CREATE UNLOGGED TABLE stage_membership (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, join_key text NOT NULL,
    kind text NOT NULL,                    -- of the person: pupil, guardian, staff
    role text NOT NULL, function text NOT NULL
);
CREATE UNLOGGED TABLE stage_division (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, kind text NOT NULL,  -- class, group
    name text NOT NULL
);
CREATE UNLOGGED TABLE stage_division_member (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, kind text NOT NULL, name text NOT NULL, join_key text NOT NULL,
    role text NOT NULL,                    -- pupil, teacher, head
    subject_code text NOT NULL
);
CREATE UNLOGGED TABLE stage_guardian_link (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, pupil_key text NOT NULL, guardian_key text NOT NULL,
    kind smallint NOT NULL, legal smallint NOT NULL, contact_order smallint NOT NULL, financial boolean NOT NULL
);
CREATE UNLOGGED TABLE stage_subject (
    territory_id uuid NOT NULL, job_id uuid NOT NULL, subject_code text NOT NULL, label text NOT NULL
);
CREATE UNLOGGED TABLE stage_mef (
    territory_id uuid NOT NULL, job_id uuid NOT NULL, mef_code text NOT NULL, label text NOT NULL, stat11 text NOT NULL
);
CREATE INDEX stage_school_by_key ON stage_school (territory_id, job_id, school_key);
CREATE INDEX stage_person_by_key ON stage_person (territory_id, job_id, join_key);
CREATE INDEX stage_membership_by_school ON stage_membership (territory_id, job_id, school_key);
CREATE INDEX stage_division_by_school ON stage_division (territory_id, job_id, school_key);
CREATE INDEX stage_division_member_by_school ON stage_division_member (territory_id, job_id, school_key);
CREATE INDEX stage_guardian_link_by_school ON stage_guardian_link (territory_id, job_id, school_key);
CREATE INDEX stage_subject_by_code ON stage_subject (territory_id, job_id, subject_code);
CREATE INDEX stage_mef_by_code ON stage_mef (territory_id, job_id, mef_code);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['feed_delivery', 'feed_school', 'sts_key', 'stage_school', 'stage_person',
        'stage_membership', 'stage_division', 'stage_division_member', 'stage_guardian_link', 'stage_subject', 'stage_mef']
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO preau_app', t);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (territory_id = nullif(current_setting(''app.territory_id'', true), '''')::uuid)
            WITH CHECK (territory_id = nullif(current_setting(''app.territory_id'', true), '''')::uuid)', t || '_same_territory', t);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON login_stem TO preau_app;
ALTER TABLE login_stem ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_stem FORCE ROW LEVEL SECURITY;
-- A number given in another territory is given: every feed counts on.
CREATE POLICY login_stem_feed ON login_stem
    USING (nullif(current_setting('app.territory_id', true), '') IS NOT NULL)
    WITH CHECK (nullif(current_setting('app.territory_id', true), '') IS NOT NULL);
