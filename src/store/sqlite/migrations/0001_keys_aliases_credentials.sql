-- One row: whose keys these are, and a value by which the right root key is recognised.
CREATE TABLE realm (
    singleton      INTEGER PRIMARY KEY CHECK (singleton = 1),
    region         TEXT NOT NULL,
    account        TEXT NOT NULL,
    root_key_check BLOB NOT NULL
) STRICT;

CREATE TABLE keys (
    key_id        TEXT PRIMARY KEY,
    state         TEXT NOT NULL CHECK (state IN ('Enabled', 'Disabled', 'PendingDeletion')),
    description   TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    policy        TEXT NOT NULL
) STRICT;

-- The material with the highest version is the current one; older ones open older ciphertexts.
CREATE TABLE key_materials (
    key_id      TEXT NOT NULL REFERENCES keys (key_id),
    version     INTEGER NOT NULL,
    material_id BLOB NOT NULL UNIQUE CHECK (length(material_id) = 32),
    wrapped     BLOB NOT NULL,
    PRIMARY KEY (key_id, version)
) STRICT;

CREATE TABLE aliases (
    name          TEXT PRIMARY KEY,
    key_id        TEXT NOT NULL REFERENCES keys (key_id),
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX aliases_by_key ON aliases (key_id);

CREATE TABLE credentials (
    access_key_id        TEXT PRIMARY KEY,
    principal_arn        TEXT NOT NULL,
    wrapped_secret       BLOB NOT NULL,
    session_token_sha256 BLOB CHECK (length(session_token_sha256) = 32),
    created_at_ms        INTEGER NOT NULL,
    expires_at_ms        INTEGER
) STRICT;
