-- The operator's desk: what people order while many are coming in, and what the service decided by itself, with the
-- figures that made it decide.
--
-- Expand step: new tables only.

SET LOCAL lock_timeout = '2s';

-- An order, until its end. Of one territory; or of the installation (null), by its operator on the machine. Its author's
-- name is copied here: the heads of the schools concerned read it, and see no other person of the territory.
CREATE TABLE load_order (
    order_id      uuid        NOT NULL PRIMARY KEY,
    territory_id  uuid,                    -- null: the whole installation
    act           jsonb       NOT NULL,
    author_id     uuid,                    -- null: the installation's own operator
    author        text        NOT NULL CONSTRAINT load_order_author_length CHECK (char_length(author) BETWEEN 1 AND 200),
    reason        text        NOT NULL CONSTRAINT load_order_reason_length CHECK (char_length(reason) BETWEEN 5 AND 500),
    made_at       timestamptz NOT NULL,    -- rises within a territory: the later of two contradictory orders wins
    until         timestamptz NOT NULL,
    ended_at      timestamptz,
    ended_by      uuid,
    -- Nothing is forced without an end.
    CONSTRAINT load_order_ends CHECK (until > made_at AND until <= made_at + interval '7 days'),
    CONSTRAINT load_order_has_author CHECK (territory_id IS NULL OR author_id IS NOT NULL)
);
CREATE INDEX load_order_by_territory ON load_order (territory_id, order_id);
CREATE INDEX load_order_open ON load_order (until) WHERE ended_at IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON load_order TO preau_app;
ALTER TABLE load_order ENABLE ROW LEVEL SECURITY;
ALTER TABLE load_order FORCE ROW LEVEL SECURITY;
CREATE POLICY load_order_territory ON load_order
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
-- The installation's orders concern every territory.
CREATE POLICY load_order_of_all ON load_order FOR SELECT
    USING (territory_id IS NULL AND nullif(current_setting('app.territory_id', true), '') IS NOT NULL);
-- Heads of schools read what is ordered for their territory, and for all.
CREATE POLICY load_order_school ON load_order FOR SELECT
    USING (EXISTS (SELECT FROM school s WHERE s.school_id = nullif(current_setting('app.school_id', true), '')::uuid
        AND (load_order.territory_id IS NULL OR load_order.territory_id = s.territory_id)));
-- Every node reads all of them each second; old ones are swept.
CREATE POLICY load_order_lookup ON load_order FOR SELECT USING (current_setting('app.lookup', true) = 'on');
CREATE POLICY load_order_sweep ON load_order FOR DELETE USING (current_setting('app.lookup', true) = 'on');
-- The operator on the machine writes the installation's, and no other.
CREATE POLICY load_order_operator_makes ON load_order FOR INSERT
    WITH CHECK (current_setting('app.lookup', true) = 'on' AND territory_id IS NULL);
CREATE POLICY load_order_operator_ends ON load_order FOR UPDATE
    USING (current_setting('app.lookup', true) = 'on' AND territory_id IS NULL)
    WITH CHECK (current_setting('app.lookup', true) = 'on' AND territory_id IS NULL);

-- A change of state, and why: what was measured, or the order that forced it. Figures and codes, nothing of a person.
CREATE TABLE load_event (
    event_id      uuid        NOT NULL PRIMARY KEY,  -- UUIDv7: the order of the list
    territory_id  uuid,                    -- null: concerns every territory
    at            timestamptz NOT NULL,
    what          text        NOT NULL CONSTRAINT load_event_what_shape CHECK (what ~ '^[a-z0-9-]{1,40}$'),
    from_state    text        NOT NULL,
    to_state      text        NOT NULL,
    order_id      uuid,                    -- null: decided by measure
    inputs        jsonb       NOT NULL
);
CREATE INDEX load_event_by_territory ON load_event (territory_id, event_id);
GRANT SELECT, INSERT, DELETE ON load_event TO preau_app;
ALTER TABLE load_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE load_event FORCE ROW LEVEL SECURITY;
CREATE POLICY load_event_territory ON load_event FOR SELECT
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY load_event_of_all ON load_event FOR SELECT
    USING (territory_id IS NULL AND nullif(current_setting('app.territory_id', true), '') IS NOT NULL);
-- The nodes write them, and sweep the old.
CREATE POLICY load_event_lookup ON load_event
    USING (current_setting('app.lookup', true) = 'on')
    WITH CHECK (current_setting('app.lookup', true) = 'on');
