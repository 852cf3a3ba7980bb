-- migrate:up
-- Points, gift cards, red packets: what accounts hold, the double entries that changed it (in ledger_entry,
-- beside those of money), and what orders took from them.

-- What an account holds now: points:<buyer>, gift_card:<id>, red_packet:<id>, red_packet_pool:<id>. The other
-- sides of the entries (issued:…, frozen:…, spent:…, expired:…) have no row, so that no row is every order's:
-- what they come to is the sum of their entries. Text sorts by its bytes, so that all lock in one order.
CREATE TABLE balance (
    account  text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,      -- ISO 4217, or POINTS
    amount   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account, currency)
) WITH (fillfactor = 80);

ALTER TABLE ledger_entry
    ALTER COLUMN order_id DROP NOT NULL,     -- NULL: of no order
    ADD COLUMN balance_after bigint,         -- NULL: of an account without a balance
    -- Nothing spends what is not there; only points that are taken back may have been spent already.
    ADD CONSTRAINT ledger_entry_covered
        CHECK (balance_after >= 0 OR amount_minor >= 0 OR posting_kind = 'points_taken_back');
CREATE INDEX ledger_entry_statement ON ledger_entry (account, entry_id) WHERE balance_after IS NOT NULL;

-- A refund may give back nothing in money: then no payment is asked.
ALTER TABLE refund
    ALTER COLUMN payment_id DROP NOT NULL,
    DROP CONSTRAINT refund_amount_minor_check,
    ADD CONSTRAINT refund_amount_minor_check CHECK (amount_minor >= 0),
    ADD CONSTRAINT refund_money_from_payment CHECK (amount_minor = 0 OR payment_id IS NOT NULL);

-- Of the order that is paid, not of a child: what it took, and what its payment brings.
ALTER TABLE orders
    ADD COLUMN points_used bigint NOT NULL DEFAULT 0 CHECK (points_used >= 0),
    ADD COLUMN points_earned bigint NOT NULL DEFAULT 0 CHECK (points_earned >= 0);

-- One row: what points are earned for and what they are worth. The document is kept as the operator sent it.
CREATE TABLE points_rules (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    document jsonb NOT NULL,
    version  bigint NOT NULL
);

-- Points that came together and end together; what remains of them is spent in the order in which they end.
CREATE TABLE points_lot (
    lot_id     bigint PRIMARY KEY,           -- the posting that brought them
    buyer_id   text NOT NULL,
    points     bigint NOT NULL CHECK (points > 0),
    remaining  bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT points_lot_within CHECK (remaining BETWEEN 0 AND points)
);
CREATE INDEX points_lot_buyer ON points_lot (buyer_id, expires_at, lot_id) WHERE remaining > 0;
CREATE INDEX points_lot_due ON points_lot (expires_at) WHERE remaining > 0;

-- From which lots an order's points came: there they go back to.
CREATE TABLE points_lot_use (
    root_id  bigint NOT NULL,
    lot_id   bigint NOT NULL REFERENCES points_lot,
    points   bigint NOT NULL CHECK (points > 0),
    returned bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (root_id, lot_id),
    CONSTRAINT points_lot_use_within CHECK (returned BETWEEN 0 AND points)
);

CREATE TABLE gift_card (
    card_id      bigint PRIMARY KEY,
    code         text NOT NULL UNIQUE,
    currency     text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),    -- what it was issued with
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL
);

CREATE TABLE red_packet_pool (
    pool_id    text PRIMARY KEY CHECK (length(pool_id) BETWEEN 1 AND 64),
    shop_id    text REFERENCES shop,         -- NULL: the platform's, good in every shop
    name       text NOT NULL,
    currency   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE red_packet (
    packet_id        bigint PRIMARY KEY,
    pool_id          text NOT NULL REFERENCES red_packet_pool,
    buyer_id         text NOT NULL,
    amount_minor     bigint NOT NULL CHECK (amount_minor > 0),
    min_amount_minor bigint NOT NULL DEFAULT 0 CHECK (min_amount_minor >= 0),
    status           text NOT NULL DEFAULT 'available'
                       CHECK (status IN ('available', 'locked', 'used', 'expired')),
    expires_at       timestamptz NOT NULL,
    -- the order (its root) that has locked or used it
    order_id         bigint,
    created_at       timestamptz NOT NULL,
    CONSTRAINT red_packet_order_when_taken CHECK ((order_id IS NOT NULL) = (status IN ('locked', 'used')))
) WITH (fillfactor = 80);
CREATE INDEX red_packet_buyer ON red_packet (buyer_id, packet_id);
CREATE INDEX red_packet_order ON red_packet (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX red_packet_due ON red_packet (expires_at) WHERE status = 'available';

-- What a line of an order was lowered by from which balance, and what of it has come back. `amount` is in the
-- account's own unit (points, or minor units), `amount_minor` in the order's currency.
CREATE TABLE order_deduction (
    root_id        bigint NOT NULL,          -- the order that is paid
    order_id       bigint NOT NULL,          -- the one that has the line
    line_id        bigint NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('points', 'red_packet', 'gift_card')),
    account        text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    amount         bigint NOT NULL CHECK (amount >= 0),
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    returned       bigint NOT NULL DEFAULT 0,
    returned_minor bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, line_id, account),
    CONSTRAINT order_deduction_within
        CHECK (returned BETWEEN 0 AND amount AND returned_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX order_deduction_root ON order_deduction (root_id);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
