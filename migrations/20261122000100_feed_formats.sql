-- Feeds: what staging keeps of every format, so that the merge knows whole objects from patches and deletions.
--
-- A row says with `present` which attributes it speaks about (crates/feeds, `import::present`): a bit that is set means "as
-- it now is, empty included", one that is not means "not said, keep what is there".

SET LOCAL lock_timeout = '2s';

ALTER TABLE feed_delivery
    ADD COLUMN format text NOT NULL DEFAULT 'aaf2d'
        CONSTRAINT feed_delivery_format_known CHECK (format IN ('aaf2d', 'aaf1d', 'siecle', 'onde', 'csv')),
    ADD COLUMN mode   text NOT NULL DEFAULT 'complete'
        CONSTRAINT feed_delivery_mode_known CHECK (mode IN ('complete', 'delta'));

ALTER TABLE stage_school
    ADD COLUMN op      text     NOT NULL DEFAULT 'add'  -- add, modify, delete; known: only named, nothing to write
        CONSTRAINT stage_school_op_known CHECK (op IN ('add', 'modify', 'delete', 'known')),
    ADD COLUMN present integer  NOT NULL DEFAULT -1,
    ADD COLUMN file_no smallint NOT NULL DEFAULT 0,     -- position in the report's list of files, from 0
    ADD COLUMN line    integer  NOT NULL DEFAULT 0;
ALTER TABLE stage_person
    ADD COLUMN op      text     NOT NULL DEFAULT 'add'
        CONSTRAINT stage_person_op_known CHECK (op IN ('add', 'modify', 'delete')),
    ADD COLUMN present integer  NOT NULL DEFAULT -1,
    ADD COLUMN file_no smallint NOT NULL DEFAULT 0,
    ADD COLUMN line    integer  NOT NULL DEFAULT 0;
ALTER TABLE stage_division ADD COLUMN listed boolean NOT NULL DEFAULT false;  -- in the school's own list
ALTER TABLE stage_subject ADD COLUMN op text NOT NULL DEFAULT 'add'
    CONSTRAINT stage_subject_op_known CHECK (op IN ('add', 'modify', 'delete'));
ALTER TABLE stage_mef ADD COLUMN op text NOT NULL DEFAULT 'add'
    CONSTRAINT stage_mef_op_known CHECK (op IN ('add', 'modify', 'delete'));

-- A parent's child that the file names without a key and that is not in the delivery: looked for in the school.
CREATE UNLOGGED TABLE stage_child_ref (
    territory_id uuid NOT NULL, job_id uuid NOT NULL,
    school_key text NOT NULL, guardian_key text NOT NULL,
    pupil_search text NOT NULL,            -- "nom prenom", folded to lower-case ASCII, as in school_person
    class_name text NOT NULL,
    file_no smallint NOT NULL, line integer NOT NULL
);
CREATE INDEX stage_child_ref_by_school ON stage_child_ref (territory_id, job_id, school_key);
GRANT SELECT, INSERT, UPDATE, DELETE ON stage_child_ref TO preau_app;
ALTER TABLE stage_child_ref ENABLE ROW LEVEL SECURITY;
ALTER TABLE stage_child_ref FORCE ROW LEVEL SECURITY;
CREATE POLICY stage_child_ref_same_territory ON stage_child_ref
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
