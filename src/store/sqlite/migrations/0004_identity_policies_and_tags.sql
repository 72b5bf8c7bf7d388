-- A user's ARN, or a role's without its path; any account's, since callers of other accounts have policies, too.
CREATE TABLE identity_policies (
    principal_arn TEXT NOT NULL,
    name          TEXT NOT NULL,
    policy        TEXT NOT NULL,
    PRIMARY KEY (principal_arn, name)
) STRICT;

CREATE TABLE tags (
    key_id    TEXT NOT NULL REFERENCES keys (key_id),
    tag_key   TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (key_id, tag_key)
) STRICT;

-- When the alias was pointed to another key; null where it never was.
ALTER TABLE aliases ADD COLUMN updated_at_ms INTEGER;
