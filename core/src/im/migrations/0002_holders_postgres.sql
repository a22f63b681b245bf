-- Runs of nodes whose sessions may hold messages. A run that is gone has no row here: what it held is
-- free, and what it still writes is refused.
CREATE TABLE message_holders (
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    PRIMARY KEY (node, incarnation)
);
INSERT INTO message_holders (node, incarnation)
    SELECT DISTINCT holder_node, holder_incarnation FROM offline_messages
    WHERE holder_node IS NOT NULL;
ALTER TABLE offline_messages ADD FOREIGN KEY (holder_node, holder_incarnation)
    REFERENCES message_holders (node, incarnation) ON DELETE SET NULL;
