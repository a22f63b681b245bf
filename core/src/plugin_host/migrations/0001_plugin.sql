CREATE TABLE plugin (
    -- files and whether they run are a matter of each node
    node BIGINT NOT NULL,
    id TEXT NOT NULL,
    -- JSON, as the plugin itself tells it
    manifest TEXT NOT NULL,
    file TEXT NOT NULL,
    sha256 BYTEA NOT NULL,
    -- public key; null: not signed
    signer BYTEA,
    -- enabled, disabled, faulty, quarantined
    state TEXT NOT NULL,
    faults BIGINT NOT NULL,
    report TEXT,
    since BIGINT NOT NULL,
    installed_by TEXT NOT NULL,
    PRIMARY KEY (node, id)
);
CREATE TABLE plugin_hash (
    -- files that an administrator has accepted once
    sha256 BYTEA PRIMARY KEY,
    name TEXT NOT NULL,
    added BIGINT NOT NULL,
    added_by TEXT NOT NULL
);
CREATE TABLE plugin_key (
    public_key BYTEA PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    added BIGINT NOT NULL,
    added_by TEXT NOT NULL
);
CREATE TABLE plugin_migration (
    -- what plugins did to their own tables
    plugin TEXT NOT NULL,
    number BIGINT NOT NULL,
    name TEXT NOT NULL,
    applied BIGINT NOT NULL,
    PRIMARY KEY (plugin, number)
);
CREATE TABLE plugin_value (
    plugin TEXT NOT NULL,
    name TEXT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (plugin, name)
);
