-- Federated sign-in: the desks that a territory trusts, assertions that were used, and which session came by which desk.

SET LOCAL lock_timeout = '2s';

-- A desk (guichet): an identity provider of SAML 2.0. Its name in addresses is unique in an installation.
CREATE TABLE federation_provider (
    territory_id     uuid        NOT NULL,
    provider_id      uuid        NOT NULL,
    slug             text        NOT NULL CONSTRAINT federation_provider_slug_shape CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    kind             text        NOT NULL CONSTRAINT federation_provider_kind_known CHECK (kind IN ('educonnect', 'agents')),
    name             text        NOT NULL CONSTRAINT federation_provider_name_length CHECK (char_length(name) BETWEEN 1 AND 80),
    entity_id        text        NOT NULL CONSTRAINT federation_provider_entity_length CHECK (char_length(entity_id) BETWEEN 1 AND 1024),
    sign_in_url      text        NOT NULL,
    logout_url       text,
    certificates     text[]      NOT NULL CONSTRAINT federation_provider_certificates CHECK (cardinality(certificates) BETWEEN 1 AND 8),
    academies        text[]      NOT NULL,             -- codes without leading zeros; empty: every academy of the territory
    enabled          boolean     NOT NULL,
    down             boolean     NOT NULL DEFAULT false,  -- an administrator's switch: "the desk does not answer"
    valid_until      timestamptz,                      -- of its metadata; null: for ever
    metadata_at      timestamptz NOT NULL,             -- when its metadata was last read
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (territory_id, provider_id),
    CONSTRAINT federation_provider_slug_key UNIQUE (slug)
);
GRANT SELECT, INSERT, UPDATE ON federation_provider TO preau_app;
ALTER TABLE federation_provider ENABLE ROW LEVEL SECURITY;
ALTER TABLE federation_provider FORCE ROW LEVEL SECURITY;
CREATE POLICY federation_provider_territory ON federation_provider
    USING (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid)
    WITH CHECK (territory_id = nullif(current_setting('app.territory_id', true), '')::uuid);
CREATE POLICY federation_provider_lookup ON federation_provider FOR SELECT
    USING (current_setting('app.lookup', true) = 'on');

-- Assertions and choices that have been used, by their hash, until nothing would believe them any more. Here and not in
-- Redis: what Redis forgot could be used again.
CREATE TABLE federation_use (
    use_hash    bytea       NOT NULL PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX federation_use_by_end ON federation_use (expires_at);
GRANT SELECT, INSERT, DELETE ON federation_use TO preau_app;
ALTER TABLE federation_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE federation_use FORCE ROW LEVEL SECURITY;
CREATE POLICY federation_use_lookup ON federation_use
    USING (current_setting('app.lookup', true) = 'on')
    WITH CHECK (current_setting('app.lookup', true) = 'on');

-- Which desk a device came by, and the desk's own name for the person in that session: what signing out everywhere needs.
CREATE TABLE federation_session (
    person_id      uuid        NOT NULL,
    family_id      uuid        NOT NULL,
    provider_id    uuid        NOT NULL,
    name_hash      bytea       NOT NULL,   -- SHA-256 of the desk's name for the person: how the desk's request finds it
    name_id        jsonb       NOT NULL,   -- that name with what qualifies it: sent back when the person signs out
    session_index  text        NOT NULL,   -- empty: the desk gave none
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (person_id, family_id)
);
CREATE INDEX federation_session_by_name ON federation_session (provider_id, name_hash);
CREATE INDEX federation_session_by_end ON federation_session (expires_at);
GRANT SELECT, INSERT, DELETE ON federation_session TO preau_app;
ALTER TABLE federation_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE federation_session FORCE ROW LEVEL SECURITY;
CREATE POLICY federation_session_own ON federation_session
    USING (person_id = nullif(current_setting('app.person_id', true), '')::uuid)
    WITH CHECK (person_id = nullif(current_setting('app.person_id', true), '')::uuid);
CREATE POLICY federation_session_lookup ON federation_session FOR SELECT
    USING (current_setting('app.lookup', true) = 'on');
CREATE POLICY federation_session_sweep ON federation_session FOR DELETE
    USING (current_setting('app.lookup', true) = 'on');

-- "Who is this join key?" is asked by the lookup scope too, one key at a time and tenant first.
CREATE POLICY join_key_lookup ON join_key FOR SELECT USING (current_setting('app.lookup', true) = 'on');

-- Whom an assertion means, in one round trip: it is used up; then the people behind its join keys, or behind its academic
-- address, or the one that was chosen among them, each with its profile. One row at least; `fresh` is false, and nothing else is told, when it was used
-- before. Rights and scopes as in `sign_in_facts`. An address that its owner typed proves nothing: feeds' only.
CREATE FUNCTION federated_facts(territory uuid, academies text[], keys text[], address text, chosen uuid, used bytea,
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
    everybody uuid[];
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
    IF chosen IS NOT NULL THEN
        everybody := ARRAY[chosen];
    END IF;
    PERFORM set_config('app.lookup', '', true);
    IF everybody IS NULL THEN
        RETURN QUERY SELECT true, NULL::uuid, NULL::uuid, NULL::text, NULL::text, NULL::integer, NULL::boolean,
                            NULL::uuid[], NULL::text[], NULL::boolean, NULL::text, NULL::text;
        RETURN;
    END IF;
    FOREACH who IN ARRAY everybody LOOP
        PERFORM set_config('app.person_id', who::text, true);
        RETURN QUERY
            SELECT true, who, p.territory_id, p.state, p.terms_version, p.permission_version, p.territory_admin,
                   p.schools, p.roles, p.second_factor, n.first_name, n.last_name
              FROM profile_of(who) p JOIN person n ON n.person_id = who;
    END LOOP;
    PERFORM set_config('app.person_id', '', true);
    RETURN;
END
$$;

-- Writes down which desk a session came by. The same twice is one.
CREATE FUNCTION put_federation_session(who uuid, family uuid, provider uuid, named bytea, name jsonb, index_said text,
                                       moment timestamptz, until timestamptz)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('app.person_id', who::text, true);
    INSERT INTO federation_session
           (person_id, family_id, provider_id, name_hash, name_id, session_index, created_at, expires_at)
    VALUES (who, family, provider, named, name, index_said, moment, until)
    ON CONFLICT (person_id, family_id) DO NOTHING;
    PERFORM set_config('app.person_id', '', true);
END
$$;
