-- A node asks at its start whether the migrations that it needs are applied, and is not ready before: the application's role
-- reads which ones are.
SET LOCAL lock_timeout = '2s';

DO $$
BEGIN
    -- The migrator's own table: there is none where the files are applied one by one.
    IF to_regclass('public._sqlx_migrations') IS NOT NULL THEN
        GRANT SELECT ON _sqlx_migrations TO preau_app;
    END IF;
END
$$;
