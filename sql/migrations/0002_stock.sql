-- migrate:up
-- Stock: a pool per SKU and activity ('0' is normal sale), every change a movement, so that both of a
-- pool's numbers can be recomputed.

CREATE TABLE stock_pool (
    pool_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku_id      text NOT NULL REFERENCES sku,
    activity_id text NOT NULL DEFAULT '0',
    on_hand     bigint NOT NULL DEFAULT 0,
    reserved    bigint NOT NULL DEFAULT 0,
    -- rises with every change of either number; the gate takes over a newer one only
    version     bigint NOT NULL DEFAULT 1,
    -- an ended activity's pool takes no more orders; what comes back goes to the normal pool
    closed      boolean NOT NULL DEFAULT false,
    UNIQUE (sku_id, activity_id),
    CONSTRAINT stock_pool_reserved_within_on_hand CHECK (reserved >= 0 AND reserved <= on_hand)
) WITH (fillfactor = 50);  -- the hottest rows of all: leave room for in-page (HOT) updates

-- No index: movements are only ever read whole, by the audit, and every order writes some.
CREATE TABLE stock_movement (
    movement_id    bigint GENERATED ALWAYS AS IDENTITY,
    pool_id        bigint NOT NULL,
    kind           text NOT NULL CHECK (kind IN
                     ('set', 'adjust', 'reserve', 'release', 'confirm', 'return', 'supply_out', 'supply_in')),
    on_hand_delta  bigint NOT NULL,
    reserved_delta bigint NOT NULL,
    order_id       bigint,
    reason         text,
    created_at     timestamptz NOT NULL DEFAULT now()
);

-- How much of an activity's SKU a buyer has taken in live and paid orders.
CREATE TABLE purchase_limit (
    activity_id text NOT NULL,
    sku_id      text NOT NULL,
    buyer_id    text NOT NULL,
    quantity    integer NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (activity_id, sku_id, buyer_id)
);

CREATE TABLE flash_sale (
    activity_id text PRIMARY KEY CHECK (length(activity_id) BETWEEN 1 AND 64 AND activity_id <> '0'),
    name        text NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    ended_at    timestamptz,
    version     bigint NOT NULL,
    CHECK (starts_at < ends_at)
);
CREATE INDEX flash_sale_version ON flash_sale (version);
CREATE INDEX flash_sale_due ON flash_sale (ends_at) WHERE ended_at IS NULL;

CREATE TABLE flash_sale_item (
    activity_id   text NOT NULL REFERENCES flash_sale,
    sku_id        text NOT NULL REFERENCES sku,
    currency      text NOT NULL,
    price_minor   bigint NOT NULL CHECK (price_minor >= 0),
    quantity      bigint NOT NULL CHECK (quantity > 0),
    per_buyer_max integer CHECK (per_buyer_max > 0),
    pool_id       bigint NOT NULL REFERENCES stock_pool,
    PRIMARY KEY (activity_id, sku_id)
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
