-- See the text for PostgreSQL. SQLite takes a foreign key only with its table.
CREATE TABLE message_holders (
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    PRIMARY KEY (node, incarnation)
);
INSERT INTO message_holders (node, incarnation)
    SELECT DISTINCT holder_node, holder_incarnation FROM offline_messages
    WHERE holder_node IS NOT NULL;
ALTER TABLE offline_messages RENAME TO old_offline_messages;
CREATE TABLE offline_messages (
    host BIGINT NOT NULL,
    account BIGINT NOT NULL,
    id BLOB NOT NULL,
    received BIGINT NOT NULL,
    size BIGINT NOT NULL,
    holder_node BIGINT,
    holder_incarnation BIGINT,
    holder_session BIGINT,
    stanza BLOB NOT NULL,
    PRIMARY KEY (host, account, id),
    FOREIGN KEY (holder_node, holder_incarnation)
        REFERENCES message_holders (node, incarnation) ON DELETE SET NULL
);
INSERT INTO offline_messages
    SELECT host, account, id, received, size, holder_node, holder_incarnation, holder_session, stanza
    FROM old_offline_messages;
DROP TABLE old_offline_messages;
CREATE INDEX offline_messages_held ON offline_messages (holder_node)
    WHERE holder_node IS NOT NULL;
