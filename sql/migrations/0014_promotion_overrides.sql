-- migrate:up
-- Promotions that were published though prices fall below their floor: who wanted it, when, and how far.

CREATE TABLE promotion_override (
    promotion_id text NOT NULL REFERENCES promotion,
    version      bigint NOT NULL,
    by_sub       text NOT NULL,
    at           timestamptz NOT NULL,
    violations   jsonb NOT NULL,
    PRIMARY KEY (promotion_id, version)
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
