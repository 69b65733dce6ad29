-- Slots and suspensions: who comes when, when not everybody can come at once.
--
-- A plan belongs to a scope, a territory or one of its schools. Expand step: new tables only.

SET LOCAL lock_timeout = '2s';

-- A plan as it is now. Its rules are read and written whole, so they are one document.
CREATE TABLE slot_plan (
    scope_id      uuid        NOT NULL,    -- the territory or the school
    plan_id       uuid        NOT NULL,
    of_school     boolean     NOT NULL,
    name          text        NOT NULL CONSTRAINT slot_plan_name_length CHECK (char_length(name) BETWEEN 1 AND 120),
    version       integer     NOT NULL,
    content       jsonb       NOT NULL,    -- mode, dates, rule for siblings, windows
    forced        text        CONSTRAINT slot_plan_forced_known CHECK (forced IN ('off', 'soft', 'hard')),
    forced_until  timestamptz,
    forced_reason text        CONSTRAINT slot_plan_forced_reason_length CHECK (char_length(forced_reason) BETWEEN 5 AND 300),
    forced_by     uuid,
    withdrawn_at  timestamptz,
    created_by    uuid        NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_by    uuid        NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (scope_id, plan_id),
    CONSTRAINT slot_plan_forced_whole CHECK ((forced IS NULL) = (forced_until IS NULL)
        AND (forced IS NULL) = (forced_reason IS NULL) AND (forced IS NULL) = (forced_by IS NULL))
);

-- What it was: a row a version, never changed.
CREATE TABLE slot_plan_version (
    scope_id    uuid        NOT NULL,
    plan_id     uuid        NOT NULL,
    version     integer     NOT NULL,
    name        text        NOT NULL,
    content     jsonb       NOT NULL,
    changed_by  uuid        NOT NULL,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (scope_id, plan_id, version),
    CONSTRAINT slot_plan_version_plan_fk FOREIGN KEY (scope_id, plan_id) REFERENCES slot_plan (scope_id, plan_id)
);

-- Somebody comes at another hour than the plan says, until an instant.
CREATE TABLE slot_exception (
    scope_id      uuid        NOT NULL,
    exception_id  uuid        NOT NULL,
    of_school     boolean     NOT NULL,
    class_id      uuid,                    -- null: everybody of the levels
    levels        text[]      NOT NULL,    -- empty: every level
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    reason        text        NOT NULL CONSTRAINT slot_exception_reason_length CHECK (char_length(reason) BETWEEN 5 AND 300),
    made_by       uuid        NOT NULL,
    made_at       timestamptz NOT NULL,
    ended_at      timestamptz,
    ended_by      uuid,
    PRIMARY KEY (scope_id, exception_id),
    CONSTRAINT slot_exception_ends CHECK (ends_at > starts_at)
);

-- The use of a profile is suspended, until an instant that is always known.
CREATE TABLE suspension (
    scope_id       uuid        NOT NULL,
    suspension_id  uuid        NOT NULL,
    of_school      boolean     NOT NULL,
    profile        text        NOT NULL CONSTRAINT suspension_profile_known CHECK (profile IN ('pupil', 'guardian')),
    services       text[]      NOT NULL,   -- empty: all that can be closed
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    reason         text        NOT NULL CONSTRAINT suspension_reason_length CHECK (char_length(reason) BETWEEN 5 AND 300),
    made_by        uuid        NOT NULL,
    made_at        timestamptz NOT NULL,
    lifted_at      timestamptz,
    lifted_by      uuid,
    PRIMARY KEY (scope_id, suspension_id),
    CONSTRAINT suspension_ends CHECK (ends_at > starts_at AND ends_at <= starts_at + interval '31 days')
);

-- How often a scope has changed any of these: a node reads them again when the numbers have moved.
CREATE TABLE slot_generation (
    scope_id  uuid   NOT NULL PRIMARY KEY,
    number    bigint NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON slot_plan, slot_exception, suspension, slot_generation TO preau_app;
GRANT SELECT, INSERT ON slot_plan_version TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['slot_plan', 'slot_plan_version', 'slot_exception', 'suspension', 'slot_generation']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        -- Its own scope writes.
        EXECUTE format('CREATE POLICY %I ON %I
            USING (scope_id = ANY (ARRAY[nullif(current_setting(''app.school_id'', true), '''')::uuid,
                                         nullif(current_setting(''app.territory_id'', true), '''')::uuid]))
            WITH CHECK (scope_id = ANY (ARRAY[nullif(current_setting(''app.school_id'', true), '''')::uuid,
                                              nullif(current_setting(''app.territory_id'', true), '''')::uuid]))',
            t || '_own', t);
        -- A school sees what its territory decided for it.
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT
            USING (scope_id = (SELECT s.territory_id FROM school s
                                WHERE s.school_id = nullif(current_setting(''app.school_id'', true), '''')::uuid))',
            t || '_above', t);
        -- Every node reads them all, to know at the door who comes when.
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT USING (current_setting(''app.lookup'', true) = ''on'')',
            t || '_lookup', t);
    END LOOP;
END
$$;

-- How many pupils of each level a school has: what a plan of the territory is previewed with. Written school by school.
CREATE TABLE level_counter (
    school_id     uuid        NOT NULL,
    level         text        NOT NULL,    -- '' : unknown
    territory_id  uuid        NOT NULL,
    pupils        integer     NOT NULL,
    guardians     integer     NOT NULL,
    counted_at    timestamptz NOT NULL,
    PRIMARY KEY (school_id, level)
);
CREATE INDEX level_counter_by_territory ON level_counter (territory_id, school_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON level_counter TO preau_app;
ALTER TABLE level_counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE level_counter FORCE ROW LEVEL SECURITY;
CREATE POLICY level_counter_same_school ON level_counter
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = nullif(current_setting('app.school_id', true), '')::uuid
        AND territory_id = (SELECT s.territory_id FROM school s WHERE s.school_id = level_counter.school_id));
CREATE POLICY level_counter_territory ON level_counter FOR SELECT
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
