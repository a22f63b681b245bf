CREATE TABLE groups (
    id BIGSERIAL PRIMARY KEY,
    host BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- counted along, so that a list of groups does not count rows
    members BIGINT NOT NULL
);
CREATE UNIQUE INDEX groups_name ON groups (host, name);

CREATE TABLE group_members (
    host BIGINT NOT NULL,
    group_id BIGINT NOT NULL REFERENCES groups (id),
    -- for the order of pages; an account keeps its user name for life
    username TEXT COLLATE "C" NOT NULL,
    account BIGINT NOT NULL,
    administrator BOOLEAN NOT NULL,
    PRIMARY KEY (host, group_id, username)
);
CREATE UNIQUE INDEX group_members_account ON group_members (host, account, group_id);
