-- What the catalogues say of the migrated database, one row a fault: rule, object, detail.
-- Rules are numbered as in the notes on Citus-ready schemas: a schema that keeps them on plain PostgreSQL can be
-- sharded on school_id without a change. Exceptions, each with its reason, are in migrations.rs.
WITH relation AS (
    SELECT c.oid, c.relname AS name, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence, c.relispartition,
           EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attname = 'school_id' AND NOT a.attisdropped) AS has_school
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> '_sqlx_migrations'
), key AS (
    SELECT r.name, i.indexrelid::regclass::text AS index_name, i.indisprimary, i.indisunique, r.has_school,
           coalesce((SELECT a.attname FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attnum = i.indkey[0]), '') AS leads
      FROM relation r JOIN pg_index i ON i.indrelid = r.oid
), fault (rule, object, detail) AS (
    SELECT 'tenant-less', name, 'has no school_id' FROM relation
     WHERE NOT has_school AND relpersistence <> 'u'
    UNION ALL
    SELECT 'key', name, format('%s starts with %I, not with school_id', index_name, leads)
      FROM key WHERE has_school AND (indisprimary OR indisunique) AND leads <> 'school_id'
    UNION ALL
    SELECT 'index', name, format('%s starts with %I, not with school_id', index_name, leads)
      FROM key WHERE has_school AND NOT indisprimary AND NOT indisunique AND leads <> 'school_id'
    UNION ALL
    SELECT 'no-key', name, 'has no primary key' FROM relation r
     WHERE r.relpersistence <> 'u' AND NOT EXISTS (SELECT FROM key k WHERE k.name = r.name AND k.indisprimary)
    UNION ALL
    SELECT 'school-id-type', name, 'school_id must be uuid NOT NULL'
      FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = 'school_id'
     WHERE a.atttypid <> 'uuid'::regtype OR NOT a.attnotnull
    UNION ALL
    -- Both ends hold a school: the key must carry it, first, on both sides.
    SELECT 'foreign-key', f.name, format('%I does not start with school_id → school_id', k.conname)
      FROM pg_constraint k JOIN relation f ON f.oid = k.conrelid JOIN relation t ON t.oid = k.confrelid
     WHERE k.contype = 'f' AND f.has_school AND t.has_school
       AND NOT (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = f.oid AND a.attnum = k.conkey[1] AND a.attname = 'school_id')
            AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = k.confkey[1] AND a.attname = 'school_id'))
    UNION ALL
    SELECT 'foreign-key', f.name, format('%I points from a table without a school into one with', k.conname)
      FROM pg_constraint k JOIN relation f ON f.oid = k.conrelid JOIN relation t ON t.oid = k.confrelid
     WHERE k.contype = 'f' AND NOT f.has_school AND t.has_school
    UNION ALL
    SELECT 'sequence', relname, 'ids are minted in Rust' FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
    UNION ALL
    SELECT 'trigger', r.name, t.tgname FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'row-security', name, 'lacks ENABLE ROW LEVEL SECURITY' FROM relation
     WHERE NOT relrowsecurity AND has_table_privilege('preau_app', oid, 'SELECT, INSERT, UPDATE, DELETE')
    UNION ALL
    SELECT 'row-security', name, 'lacks FORCE ROW LEVEL SECURITY' FROM relation
     WHERE NOT relforcerowsecurity AND has_table_privilege('preau_app', oid, 'SELECT, INSERT, UPDATE, DELETE')
    UNION ALL
    -- Who may write needs a policy that checks what is written (for ALL and UPDATE, USING stands in when there is no
    -- WITH CHECK, but a reader should not have to know).
    SELECT 'with-check', r.name, format('may %s, yet no policy for it has WITH CHECK', act.verb)
      FROM relation r, (VALUES ('INSERT', 'a'), ('UPDATE', 'w')) AS act (verb, code)
     WHERE has_table_privilege('preau_app', r.oid, act.verb)
       AND r.relrowsecurity
       AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = r.oid AND p.polwithcheck IS NOT NULL
                          AND p.polcmd::text IN ('*', act.code))
    UNION ALL
    SELECT 'open-policy', r.name, format('policy %I lets every scope write every row', p.polname)
      FROM pg_policy p JOIN relation r ON r.oid = p.polrelid WHERE pg_get_expr(p.polwithcheck, p.polrelid) = 'true'
    UNION ALL
    SELECT 'unlogged', name, 'only staging (stage_…) may be UNLOGGED' FROM relation
     WHERE relpersistence = 'u' AND name NOT LIKE 'stage\_%'
    UNION ALL
    SELECT 'view', c.relname, 'a view reads as its owner: WITH (security_invoker)' FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v'
       AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
    UNION ALL
    SELECT 'definer', p.proname, 'SECURITY DEFINER runs as the owner, whom no policy of ours expects' FROM pg_proc p
     WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'role', rolname, 'the application role must own nothing, bypass nothing, make nothing' FROM pg_roles
     WHERE rolname = 'preau_app'
       AND (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication
            OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = pg_roles.oid)
            OR EXISTS (SELECT FROM pg_proc p WHERE p.proowner = pg_roles.oid)
            OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = pg_roles.oid)
            OR has_schema_privilege('preau_app', 'public', 'CREATE'))
    UNION ALL
    SELECT 'role', 'preau_app', 'does not exist' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'preau_app')
    UNION ALL
    SELECT 'truncate', name, 'TRUNCATE ignores row-level security' FROM relation
     WHERE has_table_privilege('preau_app', oid, 'TRUNCATE, REFERENCES, TRIGGER')
)
SELECT rule, object, detail FROM fault ORDER BY rule, object, detail;
