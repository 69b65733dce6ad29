-- What an administrator asks of people before anything else: another password, an address that is confirmed.
--
-- Expand step: a release that knows nothing of demands goes on working; it holds nobody back.

SET LOCAL lock_timeout = '2s';

ALTER TABLE account
    ADD COLUMN demands text[] NOT NULL DEFAULT '{}'
        CONSTRAINT account_demands_known CHECK (demands <@ ARRAY['new_password', 'confirm_email']);

-- As before, with what is asked of the person. Whoever has no password comes by a desk, could prove nothing here, and is
-- asked nothing; a confirmed address is asked no more. The functions that read it name its columns: those of a release that
-- is being replaced go on finding theirs.
DROP FUNCTION profile_of(uuid);
CREATE FUNCTION profile_of(who uuid)
RETURNS TABLE (territory_id uuid, state text, terms_version text, permission_version integer, territory_admin boolean,
               schools uuid[], roles text[], second_factor boolean, demands text[])
LANGUAGE sql STABLE
AS $$
    SELECT a.territory_id,
           CASE WHEN a.state = 'active' AND (a.blocked_at IS NOT NULL OR (m.shut_out AND m.schools IS NULL AND NOT t.admin))
                THEN 'blocked' ELSE a.state END,
           a.terms_version, a.permission_version, t.admin, coalesce(m.schools, '{}'), coalesce(m.roles, '{}'),
           a.second_factor,
           CASE WHEN a.demands = '{}' THEN a.demands
                WHEN NOT EXISTS (SELECT 1 FROM credential c WHERE c.person_id = a.person_id AND c.kind = 'password') THEN '{}'
                WHEN EXISTS (SELECT 1 FROM person n WHERE n.person_id = a.person_id AND n.email_confirmed_at IS NOT NULL)
                THEN array_remove(a.demands, 'confirm_email')
                ELSE a.demands END
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

DROP FUNCTION sign_in_facts(text, bytea, timestamptz);
CREATE FUNCTION sign_in_facts(name text, identifier bytea, moment timestamptz)
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
               p.territory_admin, p.schools, p.roles, p.second_factor, n.first_name, n.last_name, c.secret, k.code_hash,
               p.demands
          FROM (SELECT 1) always
          LEFT JOIN profile_of(who) p ON true
          LEFT JOIN person n ON n.person_id = who
          LEFT JOIN credential c ON c.person_id = who AND c.kind = 'password'
          LEFT JOIN activation_code k ON k.person_id = who AND k.used_at IS NULL AND k.expires_at > moment;
    PERFORM set_config('app.person_id', '', true);
END
$$;
