-- One row per message and account, under the id that the client sees (XEP-0359, XEP-0313).
CREATE TABLE archive_messages (
    host BIGINT NOT NULL,
    account BIGINT NOT NULL,
    id BYTEA NOT NULL,
    -- The other side's bare address.
    peer TEXT NOT NULL,
    outgoing BOOLEAN NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (host, account, id)
);
CREATE INDEX archive_messages_peer ON archive_messages (host, account, peer, id);
