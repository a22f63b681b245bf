ALTER TABLE account ADD COLUMN name TEXT;
ALTER TABLE account ADD COLUMN email TEXT;
-- A lock-out that has no end is `disabled`, another one ends at `locked_until`. Both begin here.
ALTER TABLE account ADD COLUMN locked_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN lock_reason TEXT;
CREATE INDEX account_locked ON account (host, username)
    WHERE deleted IS NULL AND (disabled OR locked_until > 0);

-- What an account is found by, in lower case: its user name, its e-mail address, and its name from
-- each of the words on.
CREATE TABLE account_word (
    host BIGINT NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    account BIGINT NOT NULL REFERENCES account (id),
    PRIMARY KEY (host, word, account)
);
CREATE INDEX account_word_account ON account_word (account, word);
INSERT INTO account_word (host, word, account)
    SELECT host, username, id FROM account WHERE deleted IS NULL;

CREATE TABLE account_property (
    account BIGINT NOT NULL REFERENCES account (id),
    name TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, name)
);

-- Counting some hundred thousand rows takes too long for each look at a list.
CREATE TABLE account_total (host BIGINT PRIMARY KEY, total BIGINT NOT NULL);
INSERT INTO account_total (host, total)
    SELECT host, COUNT(*) FROM account WHERE deleted IS NULL GROUP BY host;
