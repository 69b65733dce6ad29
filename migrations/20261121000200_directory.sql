-- Directory: people, and what they are in each school (annuaire).
--
-- A person (master record, territory) holds memberships. Inside a school, names and what lists need are read from
-- school_person, a copy written only by import and administration, so that no join leaves the school.

SET LOCAL lock_timeout = '2s';

CREATE TABLE person (
    person_id     uuid        NOT NULL PRIMARY KEY,
    territory_id  uuid        NOT NULL,
    last_name     text        NOT NULL CONSTRAINT person_last_name_length CHECK (char_length(last_name) BETWEEN 1 AND 200),
    first_name    text        NOT NULL CONSTRAINT person_first_name_length CHECK (char_length(first_name) BETWEEN 1 AND 200),
    title         text        NOT NULL DEFAULT '',
    birth_on      date,
    ine           text,                    -- national pupil id
    siecle_id     text,                    -- ELEVE_ID, needed to emit LSU
    email         text,
    mobile        text,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);
CREATE INDEX person_by_territory ON person (territory_id, person_id);
GRANT SELECT, INSERT, UPDATE ON person TO preau_app;
ALTER TABLE person ENABLE ROW LEVEL SECURITY;
ALTER TABLE person FORCE ROW LEVEL SECURITY;
CREATE POLICY person_own ON person FOR SELECT
    USING (person_id = nullif(current_setting('app.person_id', true), '')::uuid);
CREATE POLICY person_territory ON person
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- The academy's join key (ENTPersonJointure) is unique per academy only.
CREATE TABLE join_key (
    territory_id  uuid NOT NULL,
    academy       text NOT NULL,
    join_key      text NOT NULL,
    person_id     uuid NOT NULL,
    PRIMARY KEY (territory_id, academy, join_key)
);
GRANT SELECT, INSERT ON join_key TO preau_app;
ALTER TABLE join_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE join_key FORCE ROW LEVEL SECURITY;
CREATE POLICY join_key_territory ON join_key
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- What a person is, school by school, kept beside the person so that sign-in asks one shard.
CREATE TABLE person_membership (
    person_id     uuid        NOT NULL,
    school_id     uuid        NOT NULL,
    role          text        NOT NULL CONSTRAINT person_membership_role_known
        CHECK (role IN ('pupil', 'guardian', 'teacher', 'staff', 'school_admin')),
    territory_id  uuid        NOT NULL,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (person_id, school_id, role)
);
CREATE INDEX person_membership_by_territory ON person_membership (territory_id, school_id, person_id);
GRANT SELECT, INSERT, UPDATE ON person_membership TO preau_app;
ALTER TABLE person_membership ENABLE ROW LEVEL SECURITY;
ALTER TABLE person_membership FORCE ROW LEVEL SECURITY;
CREATE POLICY person_membership_own ON person_membership FOR SELECT
    USING (person_id = nullif(current_setting('app.person_id', true), '')::uuid);
CREATE POLICY person_membership_territory ON person_membership
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

CREATE TABLE territory_admin (
    territory_id  uuid        NOT NULL,
    person_id     uuid        NOT NULL,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (territory_id, person_id)
);
GRANT SELECT, INSERT, UPDATE ON territory_admin TO preau_app;
ALTER TABLE territory_admin ENABLE ROW LEVEL SECURITY;
ALTER TABLE territory_admin FORCE ROW LEVEL SECURITY;
CREATE POLICY territory_admin_own ON territory_admin FOR SELECT
    USING (person_id = nullif(current_setting('app.person_id', true), '')::uuid);
CREATE POLICY territory_admin_territory ON territory_admin
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- National programme codes as the academy delivers them.
CREATE TABLE mef (
    territory_id  uuid NOT NULL,
    mef_code      text NOT NULL,
    label         text NOT NULL,
    stat11        text NOT NULL DEFAULT '',
    level         text NOT NULL DEFAULT '',  -- e.g. "6EME", "2NDE", "TERM"; empty when the feed has none
    PRIMARY KEY (territory_id, mef_code)
);
GRANT SELECT, INSERT, UPDATE ON mef TO preau_app;
ALTER TABLE mef ENABLE ROW LEVEL SECURITY;
ALTER TABLE mef FORCE ROW LEVEL SECURITY;
CREATE POLICY mef_territory ON mef
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE TABLE academy_subject (
    territory_id  uuid NOT NULL,
    subject_code  text NOT NULL,
    label         text NOT NULL,
    PRIMARY KEY (territory_id, subject_code)
);
GRANT SELECT, INSERT, UPDATE ON academy_subject TO preau_app;
ALTER TABLE academy_subject ENABLE ROW LEVEL SECURITY;
ALTER TABLE academy_subject FORCE ROW LEVEL SECURITY;
CREATE POLICY academy_subject_territory ON academy_subject
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- From here on: rows of one school. The tenant leads every key, so a row can only point inside its own school.

CREATE TABLE school_person (
    school_id   uuid        NOT NULL,
    person_id   uuid        NOT NULL,
    last_name   text        NOT NULL,
    first_name  text        NOT NULL,
    title       text        NOT NULL DEFAULT '',
    search      text        NOT NULL,      -- "nom prenom", folded to lower-case ASCII
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (school_id, person_id)
);
CREATE INDEX school_person_by_search ON school_person (school_id, search text_pattern_ops, person_id);

CREATE TABLE membership (
    school_id   uuid        NOT NULL,
    person_id   uuid        NOT NULL,
    role        text        NOT NULL CONSTRAINT membership_role_known
        CHECK (role IN ('pupil', 'guardian', 'teacher', 'staff', 'school_admin')),
    origin      text        NOT NULL CONSTRAINT membership_origin_known CHECK (origin IN ('feed', 'hand')),
    function    text        NOT NULL DEFAULT '',  -- AAF function code: ENS, DOC, DIR, EDU, AED…
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    PRIMARY KEY (school_id, person_id, role),
    CONSTRAINT membership_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX membership_by_role ON membership (school_id, role, person_id) WHERE ended_at IS NULL;

CREATE TABLE subject (
    school_id     uuid NOT NULL,
    subject_code  text NOT NULL,
    label         text NOT NULL,
    PRIMARY KEY (school_id, subject_code)
);

CREATE TABLE class (
    school_id  uuid NOT NULL,
    class_id   uuid NOT NULL,
    name       text NOT NULL CONSTRAINT class_name_length CHECK (char_length(name) BETWEEN 1 AND 60),
    level      text NOT NULL DEFAULT '',   -- of its pupils' programme, when they agree
    ended_at   timestamptz,
    PRIMARY KEY (school_id, class_id),
    CONSTRAINT class_name_key UNIQUE (school_id, name)
);

CREATE TABLE teaching_group (
    school_id  uuid NOT NULL,
    group_id   uuid NOT NULL,
    name       text NOT NULL CONSTRAINT teaching_group_name_length CHECK (char_length(name) BETWEEN 1 AND 60),
    ended_at   timestamptz,
    PRIMARY KEY (school_id, group_id),
    CONSTRAINT teaching_group_name_key UNIQUE (school_id, name)
);

CREATE TABLE pupil (
    school_id  uuid NOT NULL,
    person_id  uuid NOT NULL,
    mef_code   text NOT NULL DEFAULT '',
    mef_label  text NOT NULL DEFAULT '',
    level      text NOT NULL DEFAULT '',
    regime     text NOT NULL DEFAULT '',
    PRIMARY KEY (school_id, person_id),
    CONSTRAINT pupil_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);

CREATE TABLE class_pupil (
    school_id  uuid NOT NULL,
    class_id   uuid NOT NULL,
    person_id  uuid NOT NULL,
    PRIMARY KEY (school_id, class_id, person_id),
    CONSTRAINT class_pupil_class_fk FOREIGN KEY (school_id, class_id) REFERENCES class (school_id, class_id),
    CONSTRAINT class_pupil_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX class_pupil_by_person ON class_pupil (school_id, person_id, class_id);

CREATE TABLE class_teacher (
    school_id     uuid    NOT NULL,
    class_id      uuid    NOT NULL,
    person_id     uuid    NOT NULL,
    subject_code  text    NOT NULL DEFAULT '',
    head          boolean NOT NULL DEFAULT false,  -- head teacher (professeur principal)
    PRIMARY KEY (school_id, class_id, person_id, subject_code),
    CONSTRAINT class_teacher_class_fk FOREIGN KEY (school_id, class_id) REFERENCES class (school_id, class_id),
    CONSTRAINT class_teacher_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX class_teacher_by_person ON class_teacher (school_id, person_id, class_id);

CREATE TABLE group_pupil (
    school_id  uuid NOT NULL,
    group_id   uuid NOT NULL,
    person_id  uuid NOT NULL,
    PRIMARY KEY (school_id, group_id, person_id),
    CONSTRAINT group_pupil_group_fk FOREIGN KEY (school_id, group_id) REFERENCES teaching_group (school_id, group_id),
    CONSTRAINT group_pupil_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX group_pupil_by_person ON group_pupil (school_id, person_id, group_id);

CREATE TABLE group_teacher (
    school_id     uuid NOT NULL,
    group_id      uuid NOT NULL,
    person_id     uuid NOT NULL,
    subject_code  text NOT NULL DEFAULT '',
    PRIMARY KEY (school_id, group_id, person_id, subject_code),
    CONSTRAINT group_teacher_group_fk FOREIGN KEY (school_id, group_id) REFERENCES teaching_group (school_id, group_id),
    CONSTRAINT group_teacher_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX group_teacher_by_person ON group_teacher (school_id, person_id, group_id);

-- Guardian of a pupil (responsable): kind is the AAF link code, legal 1 = legal guardian, 2 = in charge, 0 = none.
CREATE TABLE guardian_link (
    school_id      uuid     NOT NULL,
    pupil_id       uuid     NOT NULL,
    guardian_id    uuid     NOT NULL,
    kind           smallint NOT NULL,
    legal          smallint NOT NULL CONSTRAINT guardian_link_legal_known CHECK (legal IN (0, 1, 2)),
    contact_order  smallint NOT NULL,
    financial      boolean  NOT NULL DEFAULT false,
    PRIMARY KEY (school_id, pupil_id, guardian_id),
    CONSTRAINT guardian_link_pupil_fk FOREIGN KEY (school_id, pupil_id) REFERENCES school_person (school_id, person_id),
    CONSTRAINT guardian_link_guardian_fk FOREIGN KEY (school_id, guardian_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX guardian_link_by_guardian ON guardian_link (school_id, guardian_id, pupil_id);

-- Second belt: every statement already filters by school_id. With no school set there are no rows.
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['school_person', 'membership', 'subject', 'class', 'teaching_group', 'pupil', 'class_pupil',
        'class_teacher', 'group_pupil', 'group_teacher', 'guardian_link']
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO preau_app', t);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY %I ON %I
            USING (school_id = nullif(current_setting(''app.school_id'', true), '''')::uuid)
            WITH CHECK (school_id = nullif(current_setting(''app.school_id'', true), '''')::uuid)', t || '_same_school', t);
    END LOOP;
END
$$;
