-- migrate:up
-- Group-buy campaigns (拼团活动): what a merchant offers, what an operator has decided of it, and who did what.

CREATE TABLE campaign (
    campaign_id        bigint PRIMARY KEY,
    shop_id            text NOT NULL REFERENCES shop,
    item_id            text NOT NULL REFERENCES item,
    name               text NOT NULL,
    status             text NOT NULL DEFAULT 'DRAFT'
                         CHECK (status IN ('DRAFT', 'SUBMITTED', 'REJECTED', 'PUBLISHED', 'ENDED')),
    -- found by everyone, or only by those who have its link
    listed             boolean NOT NULL,
    starts_at          timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL,
    orders_to_succeed  integer NOT NULL CHECK (orders_to_succeed >= 2),
    group_open_s       integer NOT NULL CHECK (group_open_s > 0),
    -- NULL: no limit
    per_buyer_max      integer CHECK (per_buyer_max > 0),
    per_order_max      integer CHECK (per_order_max > 0),
    groups_at_once_max integer CHECK (groups_at_once_max > 0),
    stock_policy       text NOT NULL CHECK (stock_policy IN ('last_member', 'each_member', 'on_success')),
    -- a group that is not full at its end succeeds all the same from this share of its members on
    complete_from_bp   integer CHECK (complete_from_bp BETWEEN 1 AND 10000),
    published_at       timestamptz,
    ended_at           timestamptz,
    -- rises with every change
    version            integer NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL,
    CONSTRAINT campaign_window CHECK (starts_at < ends_at),
    CONSTRAINT campaign_ended_when CHECK ((status = 'ENDED') = (ended_at IS NOT NULL))
);
CREATE INDEX campaign_shop ON campaign (shop_id, campaign_id);
CREATE INDEX campaign_status ON campaign (status, campaign_id);
CREATE INDEX campaign_to_publish ON campaign (starts_at) WHERE status = 'SUBMITTED';
CREATE INDEX campaign_to_end ON campaign (ends_at) WHERE status <> 'ENDED';

-- What it sells: a SKU, for shows with its session and ticket category.
CREATE TABLE campaign_item (
    campaign_item_id       bigint PRIMARY KEY,
    campaign_id            bigint NOT NULL REFERENCES campaign,
    sku_id                 text NOT NULL REFERENCES sku,
    session                text,
    ticket_category        text,
    currency               text NOT NULL,
    sale_price_minor       bigint NOT NULL CHECK (sale_price_minor >= 0),
    -- what the merchant gets
    settlement_price_minor bigint NOT NULL CHECK (settlement_price_minor >= 0),
    total_stock            bigint NOT NULL CHECK (total_stock >= 0),
    audit                  text NOT NULL DEFAULT 'PENDING' CHECK (audit IN ('PENDING', 'PASSED', 'REFUSED')),
    refuse_reason          text,
    sell_status            text NOT NULL DEFAULT 'CLOSED' CHECK (sell_status IN ('OPEN', 'CLOSED')),
    -- the campaign's own stock of the SKU, once published
    pool_id                bigint REFERENCES stock_pool,
    UNIQUE (campaign_id, sku_id),
    CONSTRAINT campaign_item_refused_why CHECK ((refuse_reason IS NOT NULL) = (audit = 'REFUSED')),
    CONSTRAINT campaign_item_open_when_passed CHECK (sell_status = 'CLOSED' OR (audit = 'PASSED' AND pool_id IS NOT NULL))
);
CREATE INDEX campaign_item_sku ON campaign_item (sku_id);

-- Everything that anybody has done to a campaign.
CREATE TABLE campaign_decision (
    decision_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id      bigint NOT NULL REFERENCES campaign,
    campaign_item_id bigint,
    action           text NOT NULL CHECK (action IN ('created', 'changed', 'submitted', 'passed', 'refused',
                       'published', 'not_published', 'stock_set', 'sale_opened', 'sale_closed', 'withdrawn', 'ended')),
    reason           text,
    -- 'clock' where the time has come
    by_role          text NOT NULL,
    by_id            text NOT NULL,
    at               timestamptz NOT NULL
);
CREATE INDEX campaign_decision_campaign ON campaign_decision (campaign_id, decision_id);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
