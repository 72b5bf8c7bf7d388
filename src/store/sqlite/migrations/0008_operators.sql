-- The people who may sign in to the console.
CREATE TABLE operators (
    name          TEXT PRIMARY KEY,
    -- Argon2id with its salt and cost, in the PHC string format.
    password_hash TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
