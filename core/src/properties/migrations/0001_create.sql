CREATE TABLE property (
    name TEXT NOT NULL,
    -- 0 everywhere, or the number of the host or node that it holds for
    target BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, target)
);
CREATE TABLE property_history (
    id BIGSERIAL PRIMARY KEY,
    name TEXT NOT NULL,
    target BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    actor TEXT NOT NULL,
    old TEXT,
    new TEXT
);
CREATE INDEX property_history_name ON property_history (name, id);
CREATE TABLE property_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
INSERT INTO property_version (id, version) VALUES (1, 0);
