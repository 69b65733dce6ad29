-- Feeds at the size of an académie: what is staged for a school is packed, and a statement asks once whose rows it writes.
--
-- Expand step: the release before stages into its own tables and its own mark, and goes on doing so; the next one drops
-- stage_membership, stage_division_member, stage_guardian_link and stage_mark.

SET LOCAL lock_timeout = '2s';

-- Five of six staged rows said who is what in one school, and were only ever read a school at a time: finding the place of
-- each in an index cost more than all the rest of its way. Here one row holds what hundreds did.
CREATE UNLOGGED TABLE stage_pack (
    territory_id  uuid    NOT NULL,
    job_id        uuid    NOT NULL,
    school_key    text    NOT NULL,   -- of the structure; empty: wherever the pupil is
    what          text    NOT NULL,
    times         integer NOT NULL,   -- rows inside
    content       text    NOT NULL,   -- rows and their fields, behind each other
    CONSTRAINT stage_pack_what_known CHECK (what IN ('membership', 'member', 'link', 'seal'))
);
-- Read once or twice and thrown away: not worth compressing.
ALTER TABLE stage_pack ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX stage_pack_by_school ON stage_pack (territory_id, job_id, school_key);
GRANT SELECT, INSERT, UPDATE, DELETE ON stage_pack TO preau_app;
ALTER TABLE stage_pack ENABLE ROW LEVEL SECURITY;
ALTER TABLE stage_pack FORCE ROW LEVEL SECURITY;
CREATE POLICY stage_pack_same_territory ON stage_pack
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);

-- The same rule, asked once a statement instead of once a row: it was a fifth of what writing a row cost. Only of what is
-- written; what is read is asked as before, so that no plan changes.
DO $$
DECLARE
    t text[];
BEGIN
    FOREACH t SLICE 1 IN ARRAY ARRAY[
        ['stage_person', 'stage_person_same_territory', 'territory'],
        ['stage_division', 'stage_division_same_territory', 'territory'],
        ['person', 'person_territory', 'territory'],
        ['join_key', 'join_key_territory', 'territory'],
        ['person_membership', 'person_membership_territory', 'territory'],
        ['sts_key', 'sts_key_same_territory', 'territory'],
        ['login', 'login_feed_write', 'territory'],
        ['account', 'account_territory', 'territory'],
        ['account', 'account_own', 'person'],
        ['activation_code', 'activation_code_territory', 'territory'],
        ['activation_code', 'activation_code_own', 'person'],
        ['school_person', 'school_person_same_school', 'school'],
        ['membership', 'membership_same_school', 'school'],
        ['class_pupil', 'class_pupil_same_school', 'school'],
        ['class_teacher', 'class_teacher_same_school', 'school'],
        ['group_pupil', 'group_pupil_same_school', 'school'],
        ['group_teacher', 'group_teacher_same_school', 'school'],
        ['guardian_link', 'guardian_link_same_school', 'school'],
        ['pupil', 'pupil_same_school', 'school']]
    LOOP
        EXECUTE format('ALTER POLICY %I ON %I WITH CHECK (%I = (SELECT nullif(current_setting(%L, true), '''')::uuid))',
                       t[2], t[1], t[3] || '_id', 'app.' || t[3] || '_id');
    END LOOP;
END
$$;
