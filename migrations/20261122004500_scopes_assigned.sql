-- The two functions of a sign-in, as before (migrations 3100 and 0900) but for one thing: PL/pgSQL evaluates an assignment by
-- itself, while PERFORM begins and ends an executor for each of the nine scopes that they name.
SET LOCAL lock_timeout = '2s';

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
    scope text;
BEGIN
    scope := set_config('app.lookup', 'on', true);
    SELECT l.person_id, l.was_of, l.moved_at INTO who, former, moved FROM login l WHERE l.login = name;
    SELECT f.failures, f.locked_until INTO failed, locked FROM sign_in_failure f WHERE f.identifier_hash = identifier;
    scope := set_config('app.lookup', '', true);
    IF former IS NOT NULL THEN
        scope := set_config('app.person_id', former::text, true);
        SELECT c.secret INTO old_secret FROM credential c WHERE c.person_id = former AND c.kind = 'password';
        SELECT k.code_hash INTO old_code
          FROM activation_code k WHERE k.person_id = former AND k.used_at IS NULL AND k.expires_at > moment;
    END IF;
    scope := set_config('app.person_id', coalesce(who, '00000000-0000-0000-0000-000000000000')::text, true);
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
    scope := set_config('app.person_id', '', true);
END
$$;

CREATE OR REPLACE FUNCTION open_session_family(who uuid, family uuid, hash bytea, moment timestamptz, expires timestamptz,
                                    trusted boolean, device text, identifier bytea, known boolean)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    before text := coalesce(current_setting('app.person_id', true), '');
    told boolean := false;
    scope text;
BEGIN
    scope := set_config('app.person_id', who::text, true);
    IF NOT known AND EXISTS (SELECT 1 FROM session_family f WHERE f.person_id = who)
       AND NOT EXISTS (SELECT 1 FROM session_family f WHERE f.person_id = who AND f.device = open_session_family.device) THEN
        INSERT INTO security_event (person_id, event_id, kind, device, at)
        VALUES (who, family, 'new-device', open_session_family.device, moment)
        ON CONFLICT (person_id, event_id) DO NOTHING;
        told := FOUND;
    END IF;
    INSERT INTO session_family
           (person_id, family_id, current_hash, rotated_at, created_at, expires_at, trusted, device)
    VALUES (who, family, hash, moment, moment, expires, trusted, device)
    ON CONFLICT (person_id, family_id) DO NOTHING;
    scope := set_config('app.person_id', before, true);
    IF identifier IS NOT NULL THEN
        scope := set_config('app.lookup', 'on', true);
        DELETE FROM sign_in_failure WHERE identifier_hash = identifier;
        scope := set_config('app.lookup', '', true);
    END IF;
    RETURN told;
END
$$;
