CREATE TABLE api_token (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- SHA-256; the token itself is nowhere
    hash BYTEA NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT,
    last_used BIGINT
);
CREATE TABLE administrator (
    -- an account that is made anew under the same name is another one
    account BIGINT PRIMARY KEY,
    appointed BIGINT NOT NULL,
    appointed_by TEXT NOT NULL
);
CREATE TABLE audit (
    -- sortable by time
    id BYTEA PRIMARY KEY,
    at BIGINT NOT NULL,
    node BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL
);
