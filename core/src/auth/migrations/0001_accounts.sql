CREATE TABLE account (
    id BIGSERIAL PRIMARY KEY,
    host BIGINT NOT NULL,
    username TEXT NOT NULL,
    created BIGINT NOT NULL,
    disabled BOOLEAN NOT NULL,
    locked_until BIGINT NOT NULL,
    deleted BIGINT
);

CREATE UNIQUE INDEX account_name ON account (host, username) WHERE deleted IS NULL;

CREATE TABLE credential (
    account BIGINT NOT NULL REFERENCES account (id),
    hash TEXT NOT NULL,
    iterations BIGINT NOT NULL,
    salt BYTEA NOT NULL,
    stored_key BYTEA NOT NULL,
    server_key BYTEA NOT NULL,
    PRIMARY KEY (account, hash)
);

CREATE TABLE auth_secret (
    id BIGINT PRIMARY KEY,
    secret BYTEA NOT NULL
);
