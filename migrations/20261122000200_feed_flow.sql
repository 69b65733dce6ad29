-- Feeds, after staging: what waits for a human, what refers to things that are not there yet, what comes by night, and
-- which school a structure's key means.
--
-- Expand step: the release before writes and reads none of it.

SET LOCAL lock_timeout = '2s';

-- A job of which some schools wait for a human has ended for the worker, and goes on when they have been decided.
ALTER TABLE job DROP CONSTRAINT job_state_known;
ALTER TABLE job ADD CONSTRAINT job_state_known
    CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'));

-- What the delivery was: an approval holds for the very files that it was given for.
ALTER TABLE feed_delivery ADD COLUMN fingerprint text NOT NULL DEFAULT '';
-- Present as long as the staging is: a crash empties both.
CREATE UNLOGGED TABLE stage_mark (territory_id uuid NOT NULL, job_id uuid NOT NULL);
-- Counts of one school: made, changed, moved, gone. Kept with the job's report.
ALTER TABLE feed_school
    ADD COLUMN counts  jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN samples jsonb NOT NULL DEFAULT '[]';  -- internal ids, or file and line; never names

-- The school that a structure's key (ENTStructureJointure) means: a delta does not say it again.
CREATE TABLE structure_key (
    territory_id   uuid NOT NULL,
    academy        text NOT NULL,
    structure_key  text NOT NULL,
    school_id      uuid NOT NULL,
    PRIMARY KEY (territory_id, academy, structure_key)
);
CREATE INDEX structure_key_by_school ON structure_key (territory_id, school_id);

-- A school whose changes are too large to be believed without somebody who looks.
CREATE TABLE feed_hold (
    territory_id  uuid        NOT NULL,
    hold_id       uuid        NOT NULL,
    job_id        uuid        NOT NULL,
    academy       text        NOT NULL,
    school_key    text        NOT NULL,
    uai           text        NOT NULL,
    school_name   text        NOT NULL,
    reasons       text[]      NOT NULL,    -- codes
    counts        jsonb       NOT NULL,
    samples       jsonb       NOT NULL,    -- internal ids, or file and line; never names
    fingerprint   text        NOT NULL,    -- of the delivery: a decision is about these files and no others
    state         text        NOT NULL CONSTRAINT feed_hold_state_known
        CHECK (state IN ('waiting', 'approved', 'refused', 'merged', 'superseded')),
    held_at       timestamptz NOT NULL,
    decided_by    uuid,
    decided_at    timestamptz,
    PRIMARY KEY (territory_id, hold_id),
    CONSTRAINT feed_hold_school_key UNIQUE (territory_id, job_id, school_key)
);
CREATE INDEX feed_hold_by_state ON feed_hold (territory_id, state, hold_id);

-- References to people, classes and schools that no delivery has brought yet: tried again at each feed of the territory.
CREATE TABLE feed_parked (
    territory_id  uuid        NOT NULL,
    parked_id     uuid        NOT NULL,
    academy       text        NOT NULL,
    school_key    text        NOT NULL,
    kind          text        NOT NULL CONSTRAINT feed_parked_kind_known CHECK (kind IN ('membership', 'member', 'link', 'child')),
    origin        text        NOT NULL CONSTRAINT feed_parked_origin_known CHECK (origin IN ('pupil', 'guardian', 'staff')),
    from_key      text        NOT NULL,    -- join key of whose record said it
    detail        jsonb       NOT NULL,    -- the staged row: keys and codes
    job_id        uuid        NOT NULL,
    parked_at     timestamptz NOT NULL,
    PRIMARY KEY (territory_id, parked_id)
);
CREATE INDEX feed_parked_by_school ON feed_parked (territory_id, academy, school_key);

-- When a territory's delivery is fetched by itself, each night.
CREATE TABLE feed_schedule (
    territory_id   uuid        NOT NULL PRIMARY KEY,
    enabled        boolean     NOT NULL,
    format         text        NOT NULL,
    directory      text        NOT NULL CONSTRAINT feed_schedule_directory_length CHECK (char_length(directory) BETWEEN 1 AND 200),
    at             time        NOT NULL,   -- in the zone
    time_zone      text        NOT NULL,   -- IANA name
    last_night     date,                   -- the last night that it was begun for
    last_job_id    uuid,
    updated_by     uuid        NOT NULL,
    updated_at     timestamptz NOT NULL
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['structure_key', 'stage_mark', 'feed_hold', 'feed_parked', 'feed_schedule']
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
