-- What migration 4300 said of rows to come holds for those that were there: read without keeping anybody from writing.
SET LOCAL lock_timeout = '2s';

ALTER TABLE person_membership VALIDATE CONSTRAINT person_membership_role_known;
ALTER TABLE membership VALIDATE CONSTRAINT membership_role_known;
ALTER TABLE school_counter VALIDATE CONSTRAINT school_counter_role_known;
ALTER TABLE feed_parked VALIDATE CONSTRAINT feed_parked_origin_known;
