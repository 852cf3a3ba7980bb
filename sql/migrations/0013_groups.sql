-- migrate:up
-- Groups (团) and what makes an order a group's. A group order is a row of `orders` (mode 'group') with one
-- line; its state beside the order's stands here, moved in the same transactions.

CREATE TABLE buy_group (
    -- the order that started it: it comes into being when that is paid
    group_id      bigint PRIMARY KEY,
    campaign_id   bigint NOT NULL REFERENCES campaign,
    status        text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'SUCCEEDED', 'FAILED')),
    slots         integer NOT NULL CHECK (slots >= 2),
    members_paid  integer NOT NULL DEFAULT 0,
    -- the stock of all its members is reserved
    stock_locked  boolean NOT NULL DEFAULT false,
    -- 虚拟成团: it succeeded with fewer members
    completed_short boolean NOT NULL DEFAULT false,
    share_code    text NOT NULL UNIQUE,
    started_at    timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    settled_at    timestamptz,
    fail_reason   text,
    -- rises with every event of this group
    version       integer NOT NULL DEFAULT 1,
    CONSTRAINT buy_group_members_within_slots CHECK (members_paid BETWEEN 0 AND slots),
    CONSTRAINT buy_group_settled_when CHECK ((status = 'OPEN') = (settled_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX buy_group_campaign ON buy_group (campaign_id, group_id) WHERE status = 'OPEN';
CREATE INDEX buy_group_due ON buy_group (ends_at) WHERE status = 'OPEN';
CREATE INDEX buy_group_full ON buy_group (group_id) WHERE status = 'OPEN' AND members_paid = slots;

CREATE TABLE group_order (
    order_id               bigint PRIMARY KEY,
    campaign_id            bigint NOT NULL REFERENCES campaign,
    campaign_item_id       bigint NOT NULL REFERENCES campaign_item,
    buyer_id               text NOT NULL,
    quantity               integer NOT NULL CHECK (quantity > 0),
    settlement_price_minor bigint NOT NULL,
    -- NULL: it will start one when it is paid
    group_id               bigint,
    slot                   integer CHECK (slot > 0),
    status                 text NOT NULL DEFAULT 'UNPAID' CHECK (status IN
                             ('UNPAID', 'PAID', 'SUCCEEDED', 'REFUNDING', 'REFUNDED', 'CANCELED')),
    -- agreed to another open group, should this one be over when the money comes
    join_other             boolean NOT NULL DEFAULT false,
    -- paid, and there is no group that it belongs to
    stray                  boolean NOT NULL DEFAULT false,
    paid_at                timestamptz,
    CONSTRAINT group_order_slot_in_group CHECK ((slot IS NULL) OR (group_id IS NOT NULL)),
    CONSTRAINT group_order_stray_is_paid CHECK (NOT stray OR status = 'PAID')
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX group_order_slot ON group_order (group_id, slot) WHERE status IN ('UNPAID', 'PAID', 'SUCCEEDED');
CREATE UNIQUE INDEX group_order_member ON group_order (group_id, buyer_id) WHERE status IN ('UNPAID', 'PAID', 'SUCCEEDED');
CREATE INDEX group_order_buyer ON group_order (buyer_id, order_id);
CREATE INDEX group_order_stray ON group_order (order_id) WHERE stray;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
