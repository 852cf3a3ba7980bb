-- migrate:up
-- Attempts to pay at a channel, money given back, and the double entries of both.

CREATE TABLE payment_order (
    payment_id     bigint PRIMARY KEY,
    order_id       bigint NOT NULL,         -- the root order
    due_number     smallint NOT NULL DEFAULT 1,
    buyer_id       text NOT NULL,
    channel        text NOT NULL,
    method         text NOT NULL,
    status         text NOT NULL DEFAULT 'CREATED' CHECK (status IN
                     ('CREATED', 'PENDING', 'AUTHORIZED', 'CAPTURED', 'FAILED', 'CANCELED')),
    currency       text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    return_url     text,
    psp_reference  text,
    action         jsonb,
    failure_reason text,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    -- when the channel is asked next; NULL once nothing is open
    poll_at        timestamptz,
    poll_count     integer NOT NULL DEFAULT 0
);
CREATE INDEX payment_order_order ON payment_order (order_id);
CREATE INDEX payment_order_due ON payment_order (poll_at) WHERE poll_at IS NOT NULL;

CREATE TABLE refund (
    refund_id      bigint PRIMARY KEY,
    order_id       bigint NOT NULL,          -- the root order
    payment_id     bigint NOT NULL,          -- the attempt that the money goes back to
    buyer_id       text NOT NULL,
    -- 'late_payment', 'double_payment', 'wrong_amount': money that never counted and goes back whole
    cause          text NOT NULL CHECK (cause IN ('buyer', 'merchant', 'late_payment', 'double_payment',
                     'wrong_amount', 'group_failed')),
    status         text NOT NULL DEFAULT 'REQUESTED'
                     CHECK (status IN ('REQUESTED', 'SENT', 'SUCCEEDED', 'FAILED')),
    currency       text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    reason         text,
    psp_reference  text,
    failure_reason text,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    -- a new reference is used only after the provider has said that the last one failed
    attempt        integer NOT NULL DEFAULT 1,
    tries          integer NOT NULL DEFAULT 0,
    send_at        timestamptz
);
CREATE INDEX refund_order ON refund (order_id);
CREATE INDEX refund_due ON refund (send_at) WHERE send_at IS NOT NULL;
-- Money that never counted goes back once.
CREATE UNIQUE INDEX refund_uncounted ON refund (payment_id)
    WHERE cause IN ('late_payment', 'double_payment', 'wrong_amount');

CREATE TABLE refund_line (
    refund_id    bigint NOT NULL REFERENCES refund,
    order_id     bigint NOT NULL,           -- the order that has the line (a child, where split)
    line_id      bigint NOT NULL,
    quantity     integer NOT NULL CHECK (quantity >= 0),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    PRIMARY KEY (refund_id, order_id, line_id)
);

-- Double entries: the rows of one posting sum to zero per currency.
CREATE TABLE ledger_entry (
    entry_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- what was posted, once: ('capture', payment_id), ('refund', refund_id)
    posting_kind text NOT NULL,
    posting_id   bigint NOT NULL,
    account      text NOT NULL,
    currency     text NOT NULL,
    amount_minor bigint NOT NULL,
    order_id     bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (posting_kind, posting_id, account)
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
