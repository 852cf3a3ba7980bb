-- migrate:up
-- Events out (written in the commit they tell of) and in (stored once, then applied), and who makes ids.

CREATE TABLE outbox (
    event_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- ids are drawn before the commit, so a smaller one may appear later: readers go by transaction
    -- and stop before the oldest one that is still running
    transaction_id    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic             text NOT NULL,
    aggregate_id      bigint NOT NULL,
    aggregate_version integer NOT NULL,
    payload           jsonb NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_order ON outbox (transaction_id, event_id);

-- How far each reader has come.
CREATE TABLE outbox_cursor (
    reader         text PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT '0',
    event_id       bigint NOT NULL DEFAULT 0
);
INSERT INTO outbox_cursor (reader) VALUES ('redis_streams');

CREATE TABLE inbound_event (
    source      text NOT NULL,
    event_id    text NOT NULL,
    type        text NOT NULL,
    occurred_at timestamptz,
    received_at timestamptz NOT NULL,
    body        jsonb NOT NULL,
    -- RECEIVED: to be applied; WAITING: for something not visible yet; REJECTED: will never be applied,
    -- somebody must look; UNKNOWN: of a type that nobody here reads
    status      text NOT NULL CHECK (status IN ('RECEIVED', 'WAITING', 'APPLIED', 'REJECTED', 'UNKNOWN')),
    note        text,
    tries       integer NOT NULL DEFAULT 0,
    apply_at    timestamptz,
    PRIMARY KEY (source, event_id)
);
CREATE INDEX inbound_event_due ON inbound_event (apply_at) WHERE apply_at IS NOT NULL;

-- The node part of an id belongs to one process at a time.
CREATE TABLE node_lease (
    node_id    smallint PRIMARY KEY CHECK (node_id BETWEEN 0 AND 1023),
    holder     uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
