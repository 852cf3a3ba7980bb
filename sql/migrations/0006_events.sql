-- migrate:up
-- Events out (written in the commit they tell of) and in (stored once, then applied), and who makes ids.

CREATE TABLE outbox (
    -- drawn when the event is written: within one aggregate in order, since its row is locked; between
    -- aggregates a smaller one may commit later
    event_id          bigint GENERATED ALWAYS AS IDENTITY,
    -- given by the relay to what it finds committed: readers follow it and can skip nothing
    position          bigint,
    topic             text NOT NULL,
    aggregate_id      bigint NOT NULL,
    aggregate_version integer NOT NULL,
    payload           jsonb NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX outbox_new ON outbox (event_id) WHERE position IS NULL;
CREATE UNIQUE INDEX outbox_position ON outbox (position) WHERE position IS NOT NULL;
CREATE SEQUENCE outbox_positions OWNED BY outbox.position;

-- How far each reader has come.
CREATE TABLE outbox_cursor (
    reader   text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0
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
