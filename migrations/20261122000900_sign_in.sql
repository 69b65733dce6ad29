-- Signing in: what must be known before the hash in one round trip, the session after it in another
-- (crates/db/src/alone.rs says why round trips are what counts).
--
-- Functions of the caller's rights: row-level security binds them as it binds the application. Each names its own scope
-- and leaves what it found; called alone, it is its own transaction. (A function's SET clause would say so better, but only
-- a superuser may name a setting of ours there.)

SET LOCAL lock_timeout = '2s';

-- What an access token will carry: account, memberships in force, administration of the territory. Expects the scope of
-- the person. An account is told as 'blocked' while it is, or while every profile its person has is shut out of its school.
CREATE FUNCTION profile_of(who uuid)
RETURNS TABLE (territory_id uuid, state text, terms_version text, permission_version integer, territory_admin boolean,
               schools uuid[], roles text[], second_factor boolean)
LANGUAGE sql STABLE
AS $$
    SELECT a.territory_id,
           CASE WHEN a.state = 'active' AND (a.blocked_at IS NOT NULL OR (m.shut_out AND m.schools IS NULL AND NOT t.admin))
                THEN 'blocked' ELSE a.state END,
           a.terms_version, a.permission_version, t.admin, coalesce(m.schools, '{}'), coalesce(m.roles, '{}'),
           a.second_factor
      FROM account a
      CROSS JOIN LATERAL (
           SELECT EXISTS (SELECT 1 FROM territory_admin d
                    WHERE d.person_id = a.person_id AND d.territory_id = a.territory_id AND d.ended_at IS NULL) AS admin) t
      LEFT JOIN LATERAL (
           SELECT array_agg(p.school_id ORDER BY p.started_at, p.school_id, p.role) FILTER (WHERE b.role IS NULL) AS schools,
                  array_agg(p.role ORDER BY p.started_at, p.school_id, p.role) FILTER (WHERE b.role IS NULL) AS roles,
                  bool_or(b.role IS NOT NULL) AS shut_out
             FROM person_membership p
             LEFT JOIN profile_block b ON b.school_id = p.school_id AND b.role = p.role
            WHERE p.person_id = a.person_id AND p.ended_at IS NULL) m ON true
     WHERE a.person_id = who
$$;

-- Who has this login name, whether its identifier must wait, and the secrets to compare with. One row always; nulls
-- from `territory_id` on for a name that nobody has, after the same statements.
CREATE FUNCTION sign_in_facts(name text, identifier bytea, moment timestamptz)
RETURNS TABLE (failures integer, locked_until timestamptz, person_id uuid, territory_id uuid, state text,
               terms_version text, permission_version integer, territory_admin boolean, schools uuid[], roles text[],
               second_factor boolean, first_name text, last_name text, password text, code_hash bytea)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    who uuid;
    failed integer;
    locked timestamptz;
BEGIN
    PERFORM set_config('app.lookup', 'on', true);
    SELECT l.person_id INTO who FROM login l WHERE l.login = name;
    SELECT f.failures, f.locked_until INTO failed, locked FROM sign_in_failure f WHERE f.identifier_hash = identifier;
    PERFORM set_config('app.lookup', '', true);
    PERFORM set_config('app.person_id', coalesce(who, '00000000-0000-0000-0000-000000000000')::text, true);
    RETURN QUERY
        SELECT coalesce(failed, 0), locked, who, p.territory_id, p.state, p.terms_version, p.permission_version,
               p.territory_admin, p.schools, p.roles, p.second_factor, n.first_name, n.last_name, c.secret, k.code_hash
          FROM (SELECT 1) always
          LEFT JOIN profile_of(who) p ON true
          LEFT JOIN person n ON n.person_id = who
          LEFT JOIN credential c ON c.person_id = who AND c.kind = 'password'
          LEFT JOIN activation_code k ON k.person_id = who AND k.used_at IS NULL AND k.expires_at > moment;
    PERFORM set_config('app.person_id', '', true);
END
$$;

-- Opens a session family, and forgets the failures of the identifier that has just shown its secret (null: it has none).
-- The same family twice is one family. A device that has not shown that it is `known`, and whose name stands on none of
-- the person's devices of before, is told to the person; the first of all is no news. True when it was told.
CREATE FUNCTION open_session_family(who uuid, family uuid, hash bytea, moment timestamptz, expires timestamptz,
                                    trusted boolean, device text, identifier bytea, known boolean)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    before text := coalesce(current_setting('app.person_id', true), '');
    told boolean := false;
BEGIN
    PERFORM set_config('app.person_id', who::text, true);
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
    PERFORM set_config('app.person_id', before, true);
    IF identifier IS NOT NULL THEN
        PERFORM set_config('app.lookup', 'on', true);
        DELETE FROM sign_in_failure WHERE identifier_hash = identifier;
        PERFORM set_config('app.lookup', '', true);
    END IF;
    RETURN told;
END
$$;
