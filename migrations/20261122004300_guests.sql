-- Guests (invités): people from outside whom a school lets in, and the classes they come for. They are a role like the
-- others, with no right over anybody (crates/directory/src/rules.rs).
--
-- Expand step: the release before writes no guest, and refuses the sign-in of one who has come meanwhile. The tables are
-- large and the new conditions are wider than the old ones: what is there already is checked by the next migration, which
-- keeps nobody waiting.

SET LOCAL lock_timeout = '2s';

ALTER TABLE person_membership DROP CONSTRAINT person_membership_role_known;
ALTER TABLE person_membership ADD CONSTRAINT person_membership_role_known
    CHECK (role IN ('pupil', 'guardian', 'teacher', 'staff', 'school_admin', 'guest')) NOT VALID;
ALTER TABLE membership DROP CONSTRAINT membership_role_known;
ALTER TABLE membership ADD CONSTRAINT membership_role_known
    CHECK (role IN ('pupil', 'guardian', 'teacher', 'staff', 'school_admin', 'guest')) NOT VALID;
ALTER TABLE profile_block DROP CONSTRAINT profile_block_role_known;
ALTER TABLE profile_block ADD CONSTRAINT profile_block_role_known CHECK (role IN ('pupil', 'guardian', 'teacher', 'staff', 'guest'));
ALTER TABLE school_counter DROP CONSTRAINT school_counter_role_known;
ALTER TABLE school_counter ADD CONSTRAINT school_counter_role_known
    CHECK (role IN ('all', 'pupil', 'guardian', 'teacher', 'staff', 'school_admin', 'guest')) NOT VALID;
ALTER TABLE feed_parked DROP CONSTRAINT feed_parked_origin_known;
ALTER TABLE feed_parked ADD CONSTRAINT feed_parked_origin_known CHECK (origin IN ('pupil', 'guardian', 'staff', 'guest')) NOT VALID;

-- The classes that guests come for. Not among their teachers: whoever is there has the rights of one.
CREATE TABLE class_guest (
    school_id  uuid NOT NULL,
    class_id   uuid NOT NULL,
    person_id  uuid NOT NULL,
    PRIMARY KEY (school_id, class_id, person_id),
    CONSTRAINT class_guest_class_fk FOREIGN KEY (school_id, class_id) REFERENCES class (school_id, class_id),
    CONSTRAINT class_guest_person_fk FOREIGN KEY (school_id, person_id) REFERENCES school_person (school_id, person_id)
);
CREATE INDEX class_guest_by_person ON class_guest (school_id, person_id, class_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON class_guest TO preau_app;
ALTER TABLE class_guest ENABLE ROW LEVEL SECURITY;
ALTER TABLE class_guest FORCE ROW LEVEL SECURITY;
CREATE POLICY class_guest_same_school ON class_guest
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid)
    WITH CHECK (school_id = (SELECT nullif(current_setting('app.school_id', true), '')::uuid));
