-- Signing in after two records were made one: the old name opens the account that was kept, by the password it had, until
-- the person chooses one; a desk that knows the old record finds the kept one. And desks that say who comes by FrEduVecteur.
--
-- Expand step: the release before ignores the columns, lets the old name in by the kept account's password only, and goes on
-- calling the function of desks that it knows, which stays as it is.

SET LOCAL lock_timeout = '2s';

ALTER TABLE login
    ADD COLUMN was_of    uuid,          -- whose name it was before a merge; null: it never changed hands
    ADD COLUMN moved_at  timestamptz;   -- when it changed hands

-- Merges of before. The owner is bound by row-level security too, and sees no row unless it is let off for its time.
ALTER TABLE account NO FORCE ROW LEVEL SECURITY;
ALTER TABLE login NO FORCE ROW LEVEL SECURITY;
UPDATE login l SET was_of = a.person_id, moved_at = a.updated_at
  FROM account a
 WHERE a.state = 'merged' AND a.login = l.login AND l.person_id <> a.person_id;
ALTER TABLE account FORCE ROW LEVEL SECURITY;
ALTER TABLE login FORCE ROW LEVEL SECURITY;

-- Whether a school, or a territory for all its schools, closes its administration to sessions that have shown no second
-- factor. A release that does not know it leaves such sessions what they may do today: look.
ALTER TABLE factor_policy ADD COLUMN administrators_prove boolean NOT NULL DEFAULT false;

-- As before; and for a name that changed hands, the secrets of the record whose it was. Its password counts until the kept
-- account chooses one, so that a password chosen after a theft is the only one; and never for whoever administers, whose
-- account is not to be reached through a record that looked alike. One name still costs one hash.
CREATE OR REPLACE FUNCTION sign_in_facts(name text, identifier bytea, moment timestamptz)
RETURNS TABLE (failures integer, locked_until timestamptz, person_id uuid, territory_id uuid, state text,
               terms_version text, permission_version integer, territory_admin boolean, schools uuid[], roles text[],
               second_factor boolean, first_name text, last_name text, password text, code_hash bytea, demands text[])
LANGUAGE plpgsql
-- As migration 0960 says: planned once.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    who uuid;
    former uuid;
    moved timestamptz;
    old_secret text;
    old_code bytea;
    failed integer;
    locked timestamptz;
BEGIN
    PERFORM set_config('app.lookup', 'on', true);
    SELECT l.person_id, l.was_of, l.moved_at INTO who, former, moved FROM login l WHERE l.login = name;
    SELECT f.failures, f.locked_until INTO failed, locked FROM sign_in_failure f WHERE f.identifier_hash = identifier;
    PERFORM set_config('app.lookup', '', true);
    IF former IS NOT NULL THEN
        PERFORM set_config('app.person_id', former::text, true);
        SELECT c.secret INTO old_secret FROM credential c WHERE c.person_id = former AND c.kind = 'password';
        SELECT k.code_hash INTO old_code
          FROM activation_code k WHERE k.person_id = former AND k.used_at IS NULL AND k.expires_at > moment;
    END IF;
    PERFORM set_config('app.person_id', coalesce(who, '00000000-0000-0000-0000-000000000000')::text, true);
    RETURN QUERY
        SELECT coalesce(failed, 0), locked, who, p.territory_id, p.state, p.terms_version, p.permission_version,
               p.territory_admin, p.schools, p.roles, p.second_factor, n.first_name, n.last_name,
               CASE WHEN old_secret IS NOT NULL AND (c.changed_at IS NULL OR c.changed_at <= moved)
                     AND NOT p.territory_admin AND 'school_admin' <> ALL (p.roles)
                    THEN old_secret ELSE c.secret END,
               coalesce(old_code, k.code_hash), p.demands
          FROM (SELECT 1) always
          LEFT JOIN profile_of(who) p ON true
          LEFT JOIN person n ON n.person_id = who
          LEFT JOIN credential c ON c.person_id = who AND c.kind = 'password'
          LEFT JOIN activation_code k ON k.person_id = who AND k.used_at IS NULL AND k.expires_at > moment;
    PERFORM set_config('app.person_id', '', true);
END
$$;

-- Whose pupil number it is: the lookup scope sees the people of the one number it has named, as with addresses.
CREATE POLICY person_of_siecle_id ON person FOR SELECT
    USING (current_setting('app.lookup', true) = 'on'
        AND siecle_id = nullif(current_setting('app.siecle_id', true), ''));

-- As the function of that name with fewer arguments (migration 0500), and
-- * a record that was merged stands for the one that was kept. Its keys lead there since the merge; an address, or a choice
--   that was offered before it, does not;
-- * FrEduVecteur: a pupil's number in a school, and for a guardian the folded name. Numbers are an academy's, so the pupil is
--   one of that school; `of_academies` are the desk's (none: all). Two people who could be meant are nobody.
CREATE FUNCTION federated_facts(territory uuid, academies text[], keys text[], address text, of_academies text[],
                                pupils boolean[], numbers text[], uais text[], names text[], chosen uuid, used bytea,
                                until timestamptz)
RETURNS TABLE (fresh boolean, person_id uuid, territory_id uuid, state text, terms_version text,
               permission_version integer, territory_admin boolean, schools uuid[], roles text[],
               second_factor boolean, first_name text, last_name text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    done integer;
    who uuid;
    kept uuid;
    place uuid;
    numbered uuid[];
    named uuid[];
    everybody uuid[];
    told uuid[] := '{}';
BEGIN
    PERFORM set_config('app.lookup', 'on', true);
    INSERT INTO federation_use (use_hash, expires_at) VALUES (used, until) ON CONFLICT (use_hash) DO NOTHING;
    GET DIAGNOSTICS done = ROW_COUNT;
    IF done = 0 THEN
        PERFORM set_config('app.lookup', '', true);
        RETURN QUERY SELECT false, NULL::uuid, NULL::uuid, NULL::text, NULL::text, NULL::integer, NULL::boolean,
                            NULL::uuid[], NULL::text[], NULL::boolean, NULL::text, NULL::text;
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT j.person_id) INTO everybody
      FROM unnest(academies, keys) AS asked (academy, join_key)
      JOIN join_key j ON j.territory_id = territory AND j.academy = asked.academy AND j.join_key = asked.join_key;
    IF address <> '' THEN
        PERFORM set_config('app.email', encode(convert_to(lower(address), 'UTF8'), 'hex'), true);
        SELECT array_agg(p.person_id) INTO everybody
          FROM person p WHERE p.territory_id = territory AND lower(p.email) = lower(address) AND p.email_origin = 'feed';
        PERFORM set_config('app.email', '', true);
    END IF;
    FOR nth IN 1 .. cardinality(numbers) LOOP
        SELECT s.school_id INTO place FROM school s WHERE s.territory_id = territory AND s.uai = uais[nth];
        CONTINUE WHEN NOT FOUND;
        PERFORM set_config('app.lookup', 'on', true);
        PERFORM set_config('app.siecle_id', numbers[nth], true);
        SELECT array_agg(p.person_id) INTO numbered
          FROM person p
         WHERE p.territory_id = territory AND p.siecle_id = numbers[nth]
           AND (cardinality(of_academies) = 0 OR EXISTS (
                SELECT 1 FROM join_key j
                 WHERE j.territory_id = territory AND j.person_id = p.person_id
                   AND ltrim(split_part(j.academy, '-', 1), 'P0') = ANY (of_academies)));
        PERFORM set_config('app.siecle_id', '', true);
        PERFORM set_config('app.lookup', '', true);
        named := '{}';
        FOREACH who IN ARRAY coalesce(numbered, '{}') LOOP
            PERFORM set_config('app.person_id', who::text, true);
            IF EXISTS (SELECT 1 FROM person_membership m
                        WHERE m.person_id = who AND m.school_id = place AND m.role = 'pupil' AND m.ended_at IS NULL) THEN
                IF pupils[nth] THEN
                    named := named || who;
                ELSE
                    PERFORM set_config('app.school_id', place::text, true);
                    named := named || ARRAY(
                        SELECT gl.guardian_id
                          FROM guardian_link gl
                          JOIN school_person sp ON sp.school_id = gl.school_id AND sp.person_id = gl.guardian_id
                         WHERE gl.school_id = place AND gl.pupil_id = who AND gl.legal IN (1, 2) AND sp.search = names[nth]);
                    PERFORM set_config('app.school_id', '', true);
                END IF;
            END IF;
        END LOOP;
        PERFORM set_config('app.person_id', '', true);
        IF cardinality(named) = 1 THEN
            everybody := everybody || named;
        END IF;
    END LOOP;
    IF chosen IS NOT NULL THEN
        everybody := ARRAY[chosen];
    END IF;
    PERFORM set_config('app.lookup', '', true);
    FOREACH who IN ARRAY coalesce(everybody, '{}') LOOP
        -- Merges do not go round: who was merged is never kept.
        LOOP
            EXIT WHEN who = ANY (told);
            told := told || who;
            PERFORM set_config('app.person_id', who::text, true);
            RETURN QUERY
                SELECT true, who, p.territory_id, p.state, p.terms_version, p.permission_version, p.territory_admin,
                       p.schools, p.roles, p.second_factor, n.first_name, n.last_name
                  FROM profile_of(who) p JOIN person n ON n.person_id = who
                 WHERE p.state <> 'merged';
            EXIT WHEN FOUND;
            SELECT a.merged_into INTO kept FROM account a WHERE a.person_id = who;
            EXIT WHEN kept IS NULL;
            who := kept;
        END LOOP;
    END LOOP;
    PERFORM set_config('app.person_id', '', true);
END
$$;
