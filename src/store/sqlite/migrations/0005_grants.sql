-- Permissions on a key beside its policy. Operations are names separated by commas, in the order of the service model.
CREATE TABLE grants (
    grant_id           BLOB PRIMARY KEY CHECK (length(grant_id) = 32),
    key_id             TEXT NOT NULL REFERENCES keys (key_id),
    name               TEXT,
    grantee            TEXT NOT NULL,
    -- The grantee without the path of a role, by which the role and its sessions find it.
    grantee_found_by   TEXT NOT NULL,
    retiring           TEXT,
    operations         TEXT NOT NULL,
    constraint_type    TEXT,
    -- A JSON object, its members sorted.
    constraint_context TEXT,
    issuing_account    TEXT NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    CHECK ((constraint_type IS NULL) = (constraint_context IS NULL))
) STRICT;

CREATE INDEX grants_by_key ON grants (key_id, grant_id);
CREATE INDEX grants_by_grantee ON grants (key_id, grantee_found_by, grant_id);
CREATE INDEX grants_by_retiring ON grants (retiring, grant_id) WHERE retiring IS NOT NULL;
CREATE INDEX grants_by_name ON grants (key_id, name) WHERE name IS NOT NULL;
