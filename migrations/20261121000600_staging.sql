-- Staging: what a feed says, before it is believed. UNLOGGED: a crash loses a staging, and the feed stages again.

SET LOCAL lock_timeout = '2s';

-- Where each school of a feed has got to, so that a killed feed resumes at the next school. Logged: it is progress.
CREATE TABLE feed_school (
    territory_id  uuid        NOT NULL,
    job_id        uuid        NOT NULL,
    join_key      text        NOT NULL,    -- ENTStructureJointure
    uai           text        NOT NULL,
    merged_at     timestamptz,
    counts        jsonb,
    PRIMARY KEY (territory_id, job_id, join_key)
);

CREATE UNLOGGED TABLE stage_school (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    join_key text NOT NULL, uai text NOT NULL, name text NOT NULL, kind text NOT NULL, tz text NOT NULL,
    holiday_zone text NOT NULL, city text NOT NULL,
    PRIMARY KEY (territory_id, job_id, join_key)
);
CREATE UNLOGGED TABLE stage_person (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    kind text NOT NULL,                    -- pupil, guardian, staff
    academy text NOT NULL, join_key text NOT NULL,
    last_name text NOT NULL, first_name text NOT NULL, title text NOT NULL, birth_on date,
    ine text, siecle_id text, email text, mobile text,
    mef_code text, mef_label text, level text, regime text,
    new_person_id uuid NOT NULL            -- minted by the Clock; used only if the join key is new
);
CREATE UNLOGGED TABLE stage_membership (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, join_key text NOT NULL, role text NOT NULL, function text NOT NULL
);
CREATE UNLOGGED TABLE stage_division (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, kind text NOT NULL,  -- class, group
    name text NOT NULL, new_id uuid NOT NULL
);
CREATE UNLOGGED TABLE stage_division_member (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, kind text NOT NULL, name text NOT NULL, join_key text NOT NULL,
    role text NOT NULL,                    -- pupil, teacher
    subject_code text NOT NULL, head boolean NOT NULL
);
CREATE UNLOGGED TABLE stage_guardian_link (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    pupil_key text NOT NULL, guardian_key text NOT NULL,
    kind smallint NOT NULL, legal smallint NOT NULL, contact_order smallint NOT NULL, financial boolean NOT NULL
);
CREATE UNLOGGED TABLE stage_subject (
    territory_id uuid NOT NULL, job_id uuid NOT NULL, subject_code text NOT NULL, label text NOT NULL
);
CREATE UNLOGGED TABLE stage_mef (
    territory_id uuid NOT NULL, job_id uuid NOT NULL, mef_code text NOT NULL, label text NOT NULL, stat11 text NOT NULL,
    level text NOT NULL
);
CREATE INDEX stage_person_by_key ON stage_person (territory_id, job_id, join_key);
CREATE INDEX stage_membership_by_school ON stage_membership (territory_id, job_id, school_key);
CREATE INDEX stage_division_by_school ON stage_division (territory_id, job_id, school_key);
CREATE INDEX stage_division_member_by_school ON stage_division_member (territory_id, job_id, school_key);
CREATE INDEX stage_guardian_link_by_pupil ON stage_guardian_link (territory_id, job_id, pupil_key);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['feed_school', 'stage_school', 'stage_person', 'stage_membership', 'stage_division',
        'stage_division_member', 'stage_guardian_link', 'stage_subject', 'stage_mef']
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
