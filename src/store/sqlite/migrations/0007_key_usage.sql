-- The last successful cryptographic operation of each key; from when on they are recorded.
CREATE TABLE key_usages (
    key_id     TEXT PRIMARY KEY REFERENCES keys (key_id),
    operation  TEXT NOT NULL,
    used_at_ms INTEGER NOT NULL,
    event_id   TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;

ALTER TABLE realm ADD COLUMN usage_tracked_since_ms INTEGER;
UPDATE realm SET usage_tracked_since_ms = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
