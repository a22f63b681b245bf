CREATE TABLE lease (
    id BIGINT PRIMARY KEY,
    mode TEXT NOT NULL,
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    -- milliseconds since 1970 on the database's clock
    expires BIGINT NOT NULL
);
