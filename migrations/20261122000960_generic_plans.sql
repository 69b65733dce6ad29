-- What a sign-in must know is one statement of many joins on single rows. PostgreSQL plans it anew each time, because a plan
-- for these very values looks cheaper than a general one; planning was 0.65 ms of its 0.95 ms
-- (`pgbench` of the function alone). The general plan is the same plan.
SET LOCAL lock_timeout = '2s';

ALTER FUNCTION sign_in_facts(text, bytea, timestamptz) SET plan_cache_mode = force_generic_plan;
