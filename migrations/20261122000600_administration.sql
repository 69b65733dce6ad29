-- Administration: what administrators do to a directory beside its feeds, who may write to whom, and what is kept so
-- that it can be undone.
--
-- Expand step: every column has a default that means what the release before does.

SET LOCAL lock_timeout = '2s';

-- A name that an administrator has mended is not un-mended by the next feed.
ALTER TABLE person
    ADD COLUMN names_origin text NOT NULL DEFAULT 'feed'
        CONSTRAINT person_names_origin_known CHECK (names_origin IN ('feed', 'hand'));

-- A class of a past year keeps its row, its id and its lessons, under a name that says the year: the new year's feed then
-- makes a class of its own.
ALTER TABLE class ADD COLUMN archived_year text NOT NULL DEFAULT '';
ALTER TABLE teaching_group ADD COLUMN archived_year text NOT NULL DEFAULT '';

-- A merge makes the old names and keys of an account lead to the one that is kept.
GRANT UPDATE ON login, join_key TO preau_app;
CREATE POLICY login_merge ON login FOR UPDATE
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- Powers handed to somebody until a date.
CREATE TABLE delegation (
    school_id      uuid        NOT NULL,
    delegation_id  uuid        NOT NULL,
    person_id      uuid        NOT NULL,
    power          text        NOT NULL CONSTRAINT delegation_power_known CHECK (power IN
        ('reset-passwords', 'manage-people', 'manage-groups', 'read-export', 'read-journal')),
    until          timestamptz NOT NULL,
    granted_by     uuid        NOT NULL,
    granted_at     timestamptz NOT NULL,
    revoked_by     uuid,
    revoked_at     timestamptz,
    PRIMARY KEY (school_id, delegation_id),
    CONSTRAINT delegation_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX delegation_by_person ON delegation (school_id, person_id, power);

-- Who may write to whom. No row: the rules of the kind of school.
CREATE TABLE communication_rule (
    school_id   uuid        NOT NULL PRIMARY KEY,
    rules       jsonb       NOT NULL,
    updated_at  timestamptz NOT NULL,
    updated_by  uuid        NOT NULL
);

-- Rows sent as CSV: what they would do, until somebody applies them. Purpose: the change itself; kept 7 days.
CREATE TABLE bulk_change (
    school_id   uuid        NOT NULL,
    bulk_id     uuid        NOT NULL,
    sha256      bytea       NOT NULL,
    rows        jsonb       NOT NULL,      -- as they were read; emptied once applied
    report      jsonb       NOT NULL,      -- counts, and the words of each refused line
    made_by     uuid        NOT NULL,
    made_at     timestamptz NOT NULL,
    applied_by  uuid,
    applied_at  timestamptz,
    PRIMARY KEY (school_id, bulk_id)
);

-- What a year's end took from a school, so that it can be given back until it is confirmed.
CREATE TABLE year_archive (
    school_id      uuid        NOT NULL,
    transition_id  uuid        NOT NULL,
    taken          jsonb       NOT NULL,   -- ids and names of classes, ids of who was in them
    taken_at       timestamptz NOT NULL,
    given_back_at  timestamptz,
    PRIMARY KEY (school_id, transition_id)
);

-- What a merge moved in a school.
CREATE TABLE merge_step (
    school_id  uuid        NOT NULL,
    merge_id   uuid        NOT NULL,
    moved      jsonb       NOT NULL,       -- rows of ids, as they were
    moved_at   timestamptz NOT NULL,
    PRIMARY KEY (school_id, merge_id)
);

GRANT SELECT, INSERT, UPDATE ON delegation, communication_rule TO preau_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON bulk_change, year_archive, merge_step TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['delegation', 'communication_rule', 'bulk_change', 'year_archive', 'merge_step']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (school_id = nullif(current_setting(''app.school_id'', true), '''')::uuid)
            WITH CHECK (school_id = nullif(current_setting(''app.school_id'', true), '''')::uuid)', t || '_same_school', t);
    END LOOP;
END
$$;

-- How many people each school has, for its territory's lists: written school by school, so that no statement crosses them.
CREATE TABLE school_counter (
    school_id     uuid        NOT NULL,
    role          text        NOT NULL CONSTRAINT school_counter_role_known
        CHECK (role IN ('all', 'pupil', 'guardian', 'teacher', 'staff', 'school_admin')),
    territory_id  uuid        NOT NULL,
    people        integer     NOT NULL,
    activated     integer     NOT NULL,
    blocked       integer     NOT NULL,
    counted_at    timestamptz NOT NULL,
    last_feed_at  timestamptz,             -- on the row 'all'
    PRIMARY KEY (school_id, role)
);
-- The year's end, over the schools named.
CREATE TABLE year_transition (
    territory_id   uuid        NOT NULL,
    transition_id  uuid        NOT NULL,
    year           text        NOT NULL CONSTRAINT year_transition_year_shape CHECK (year ~ '^[0-9]{4}-[0-9]{4}$'),
    schools        uuid[]      NOT NULL,
    state          text        NOT NULL CONSTRAINT year_transition_state_known
        CHECK (state IN ('previewed', 'running', 'done', 'undoing', 'undone', 'confirmed')),
    preview        jsonb       NOT NULL,   -- counts
    job_id         uuid,
    made_by        uuid        NOT NULL,
    made_at        timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (territory_id, transition_id)
);
-- Two records that may be one person. The smaller id comes first.
CREATE TABLE duplicate_pair (
    territory_id  uuid        NOT NULL,
    pair_id       uuid        NOT NULL,
    one_id        uuid        NOT NULL,
    other_id      uuid        NOT NULL,
    score         smallint    NOT NULL CONSTRAINT duplicate_pair_score_range CHECK (score BETWEEN 0 AND 100),
    reasons       text[]      NOT NULL,    -- codes
    one_schools   uuid[]      NOT NULL,
    other_schools uuid[]      NOT NULL,
    state         text        NOT NULL CONSTRAINT duplicate_pair_state_known CHECK (state IN ('open', 'distinct', 'merged')),
    found_at      timestamptz NOT NULL,
    decided_by    uuid,
    decided_at    timestamptz,
    PRIMARY KEY (territory_id, pair_id),
    CONSTRAINT duplicate_pair_key UNIQUE (territory_id, one_id, other_id),
    CONSTRAINT duplicate_pair_order CHECK (one_id < other_id)
);
-- Two records made one, and what it takes to part them again.
CREATE TABLE account_merge (
    territory_id  uuid        NOT NULL,
    merge_id      uuid        NOT NULL,
    pair_id       uuid,
    kept_id       uuid        NOT NULL,
    merged_id     uuid        NOT NULL,
    schools       uuid[]      NOT NULL,    -- where the merged person had a record
    state         text        NOT NULL CONSTRAINT account_merge_state_known
        CHECK (state IN ('merging', 'merged', 'undoing', 'undone')),
    moved         jsonb       NOT NULL DEFAULT '{}',  -- logins, keys and memberships of the territory
    job_id        uuid,
    made_by       uuid        NOT NULL,
    made_at       timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (territory_id, merge_id)
);
-- Look-ups of people across a territory, by whom and hour.
CREATE TABLE lookup_budget (
    territory_id  uuid        NOT NULL,
    person_id     uuid        NOT NULL,
    hour          timestamptz NOT NULL,
    used          integer     NOT NULL,
    PRIMARY KEY (territory_id, person_id)
);
GRANT SELECT, INSERT, UPDATE ON school_counter, year_transition, duplicate_pair, account_merge, lookup_budget TO preau_app;
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['school_counter', 'year_transition', 'duplicate_pair', 'account_merge', 'lookup_budget']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (territory_id = nullif(current_setting(''app.territory_id'', true), '''')::uuid)
            WITH CHECK (territory_id = nullif(current_setting(''app.territory_id'', true), '''')::uuid)', t || '_same_territory', t);
    END LOOP;
END
$$;
