-- Timetable (emploi du temps): lessons as they will happen, one row an occurrence.

SET LOCAL lock_timeout = '2s';

CREATE TABLE lesson (
    school_id      uuid        NOT NULL,
    lesson_id      uuid        NOT NULL,
    subject_code   text        NOT NULL DEFAULT '',
    subject_label  text        NOT NULL,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    room           text        NOT NULL DEFAULT '',
    at_distance    boolean     NOT NULL DEFAULT false,
    cancelled      boolean     NOT NULL DEFAULT false,
    -- Whom it concerns. Arrays, because a day is read whole and never joined; ids point inside the school.
    class_ids      uuid[]      NOT NULL DEFAULT '{}',
    group_ids      uuid[]      NOT NULL DEFAULT '{}',
    teacher_ids    uuid[]      NOT NULL DEFAULT '{}',
    source         text        NOT NULL CONSTRAINT lesson_source_known CHECK (source IN ('sts', 'ical')),
    source_key     text        NOT NULL,   -- stable in the source, so that a re-import rewrites nothing
    PRIMARY KEY (school_id, lesson_id),
    CONSTRAINT lesson_source_key UNIQUE (school_id, source, source_key),
    CONSTRAINT lesson_has_length CHECK (ends_at > starts_at)
);
CREATE INDEX lesson_by_start ON lesson (school_id, starts_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON lesson TO preau_app;
ALTER TABLE lesson ENABLE ROW LEVEL SECURITY;
ALTER TABLE lesson FORCE ROW LEVEL SECURITY;
CREATE POLICY lesson_same_school ON lesson
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = nullif(current_setting('app.school_id', true), '')::uuid);
