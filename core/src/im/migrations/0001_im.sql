-- RFC 6121 §2: one row per contact, those included who only wait for an answer (not listed).
CREATE TABLE roster_items (
    host BIGINT NOT NULL,
    account BIGINT NOT NULL,
    contact TEXT NOT NULL,
    name TEXT,
    group_names TEXT NOT NULL,
    subscription TEXT NOT NULL,
    pending_out BOOLEAN NOT NULL,
    pending_in BOOLEAN NOT NULL,
    approved BOOLEAN NOT NULL,
    listed BOOLEAN NOT NULL,
    -- Canonical children of the subscription request that waits for an answer.
    request BYTEA,
    PRIMARY KEY (host, account, contact)
);

-- RFC 6121 §2.6. Its row is also the lock under which an account's items change.
CREATE TABLE roster_versions (
    host BIGINT NOT NULL,
    account BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (host, account)
);

-- RFC 6121 §4.3.2: the presence with which the last resource went, for probes.
CREATE TABLE last_presences (
    host BIGINT NOT NULL,
    account BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (host, account)
);

-- XEP-0160, and the spool of the zero-loss contract. A held row is on its way to a session, which
-- removes it when its client has the message.
CREATE TABLE offline_messages (
    host BIGINT NOT NULL,
    account BIGINT NOT NULL,
    id BYTEA NOT NULL,
    received BIGINT NOT NULL,
    size BIGINT NOT NULL,
    holder_node BIGINT,
    holder_incarnation BIGINT,
    holder_session BIGINT,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (host, account, id)
);
CREATE INDEX offline_messages_held ON offline_messages (holder_node)
    WHERE holder_node IS NOT NULL;
