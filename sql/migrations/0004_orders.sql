-- migrate:up
-- Orders, their lines and what must be paid; and the keys that make a call count once.
-- No foreign keys on the rows that one placing writes together: one transaction writes them all, each
-- key would cost a look-up and a lock a row, and `rushcart audit` checks that no orphan exists
-- (docs/adr/0003-no-foreign-keys-on-the-hot-path.md).

-- Ends a statement where something that was only hoped for does not hold (sql/queries/checkout.sql).
CREATE FUNCTION must_fit(fits boolean) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF NOT fits THEN
        RAISE EXCEPTION 'the batch does not fit' USING ERRCODE = 'check_violation', CONSTRAINT = 'batch_fits';
    END IF;
    RETURN true;
END $$;

-- Only effects are kept: a refused call leaves no row here.
CREATE TABLE idempotency (
    digest       bytea PRIMARY KEY,         -- 16 bytes of (call, caller, key): app/lib/idempotency.py
    call         text NOT NULL,
    caller_id    text NOT NULL,
    request_hash bytea NOT NULL,            -- 16 bytes of the content as decoded
    status       smallint NOT NULL,
    response     bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    order_id                 bigint PRIMARY KEY,
    -- a child of an order that was split by shop; NULL for a parent and for an order of one shop
    parent_id                bigint,
    buyer_id                 text NOT NULL,
    shop_id                  text,           -- NULL for a parent
    status                   text NOT NULL CHECK (status IN ('NOT_PAID', 'PENDING_GROUP', 'PENDING_SHIPMENT',
                               'PENDING_RECEIVING', 'COMPLETED', 'CANCELED', 'CLOSED', 'INVALID')),
    currency                 text NOT NULL,
    goods_minor              bigint NOT NULL CHECK (goods_minor >= 0),
    promotion_discount_minor bigint NOT NULL DEFAULT 0 CHECK (promotion_discount_minor >= 0),
    coupon_discount_minor    bigint NOT NULL DEFAULT 0 CHECK (coupon_discount_minor >= 0),
    points_discount_minor    bigint NOT NULL DEFAULT 0 CHECK (points_discount_minor >= 0),
    red_packet_minor         bigint NOT NULL DEFAULT 0 CHECK (red_packet_minor >= 0),
    gift_card_minor          bigint NOT NULL DEFAULT 0 CHECK (gift_card_minor >= 0),
    price_change_minor       bigint NOT NULL DEFAULT 0,   -- a seller's; positive lowers
    freight_minor            bigint NOT NULL DEFAULT 0 CHECK (freight_minor >= 0),
    tax_minor                bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    payable_minor            bigint NOT NULL CHECK (payable_minor >= 0),
    mode                     text NOT NULL DEFAULT 'normal',
    activity_id              text NOT NULL DEFAULT '0',
    address                  jsonb,
    memo                     text,
    source                   text,
    quote_id                 text,
    -- what prices and freight were converted with: [{"base", "currency", "rate", "valid_from"}]; NULL: nothing
    fx_rates                 jsonb,
    -- rises with every event of this order
    version                  integer NOT NULL DEFAULT 1,
    created_at               timestamptz NOT NULL,
    -- when it closes if not paid: on the order that is paid (the parent, or the only one)
    pay_deadline             timestamptz,
    paid_at                  timestamptz,
    closed_at                timestamptz,
    close_reason             text,
    -- what has made it a trade order: of a group order ('group_order') once its group has succeeded
    out_type                 text,
    out_id                   bigint,
    CONSTRAINT orders_adds_up CHECK (payable_minor = goods_minor - promotion_discount_minor
        - coupon_discount_minor - points_discount_minor - red_packet_minor - gift_card_minor
        - price_change_minor + freight_minor + tax_minor)
) WITH (fillfactor = 85);
CREATE INDEX orders_buyer ON orders (buyer_id, order_id);
CREATE UNIQUE INDEX orders_out ON orders (out_type, out_id) WHERE out_id IS NOT NULL;
CREATE INDEX orders_parent ON orders (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX orders_due ON orders (pay_deadline) WHERE status = 'NOT_PAID' AND pay_deadline IS NOT NULL;

CREATE TABLE order_line (
    order_id                 bigint NOT NULL,
    line_id                  bigint NOT NULL,
    sku_id                   text NOT NULL,
    title                    text NOT NULL,
    item_type                text NOT NULL,
    pool_id                  bigint NOT NULL,
    reserve_on               text NOT NULL,
    quantity                 integer NOT NULL CHECK (quantity > 0),
    unit_price_minor         bigint NOT NULL CHECK (unit_price_minor >= 0),
    list_price_minor         bigint NOT NULL CHECK (list_price_minor >= 0),
    goods_minor              bigint NOT NULL,
    promotion_discount_minor bigint NOT NULL DEFAULT 0 CHECK (promotion_discount_minor >= 0),
    coupon_discount_minor    bigint NOT NULL DEFAULT 0 CHECK (coupon_discount_minor >= 0),
    points_discount_minor    bigint NOT NULL DEFAULT 0 CHECK (points_discount_minor >= 0),
    red_packet_minor         bigint NOT NULL DEFAULT 0 CHECK (red_packet_minor >= 0),
    gift_card_minor          bigint NOT NULL DEFAULT 0 CHECK (gift_card_minor >= 0),
    price_change_minor       bigint NOT NULL DEFAULT 0,
    freight_minor            bigint NOT NULL DEFAULT 0 CHECK (freight_minor >= 0),
    tax_minor                bigint NOT NULL DEFAULT 0 CHECK (tax_minor >= 0),
    payable_minor            bigint NOT NULL CHECK (payable_minor >= 0),
    -- of what is paid, where the price contains it: for invoices, and part of no sum
    tax_included_minor       bigint NOT NULL DEFAULT 0,
    -- of a bill's goods: what takes no part in discounts
    undiscounted_minor       bigint NOT NULL DEFAULT 0,
    -- which rule gave how much: [{"kind", "rule_id", "name", "amount_minor"}]; NULL where none did
    discounts                jsonb,
    refunded_quantity        integer NOT NULL DEFAULT 0,
    refunded_minor           bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, line_id),
    CONSTRAINT order_line_tax_included
        CHECK (tax_included_minor BETWEEN 0 AND goods_minor + freight_minor),
    CONSTRAINT order_line_undiscounted CHECK (undiscounted_minor BETWEEN 0 AND goods_minor),
    CONSTRAINT order_line_goods CHECK (goods_minor = unit_price_minor * quantity),
    CONSTRAINT order_line_adds_up CHECK (payable_minor = goods_minor - promotion_discount_minor
        - coupon_discount_minor - points_discount_minor - red_packet_minor - gift_card_minor
        - price_change_minor + freight_minor + tax_minor),
    CONSTRAINT order_line_refund_within
        CHECK (refunded_quantity BETWEEN 0 AND quantity AND refunded_minor BETWEEN 0 AND payable_minor)
);

-- One payment that is due for an order (its root). Later: deposits, and differences after a price change.
CREATE TABLE pay_order (
    order_id        bigint NOT NULL,
    due_number      smallint NOT NULL DEFAULT 1,
    status          text NOT NULL DEFAULT 'UNPAID'
                      CHECK (status IN ('UNPAID', 'AUTHORIZED', 'PAID', 'PART_REFUNDED', 'REFUNDED', 'CLOSED')),
    currency        text NOT NULL,
    amount_minor    bigint NOT NULL CHECK (amount_minor >= 0),
    captured_minor  bigint NOT NULL DEFAULT 0,
    -- asked back by refunds that have neither failed nor succeeded yet
    refunding_minor bigint NOT NULL DEFAULT 0,
    refunded_minor  bigint NOT NULL DEFAULT 0,
    payment_id      bigint,                  -- the attempt whose money counts
    PRIMARY KEY (order_id, due_number),
    CONSTRAINT pay_order_captured CHECK (captured_minor = CASE
        WHEN status IN ('PAID', 'PART_REFUNDED', 'REFUNDED') THEN amount_minor ELSE 0 END),
    CONSTRAINT pay_order_refunds_within CHECK (refunded_minor >= 0 AND refunding_minor >= 0
        AND refunded_minor + refunding_minor <= captured_minor),
    CONSTRAINT pay_order_refund_state CHECK (CASE status
        WHEN 'REFUNDED' THEN refunded_minor = amount_minor
        WHEN 'PART_REFUNDED' THEN refunded_minor > 0 AND refunded_minor < amount_minor
        ELSE refunded_minor = 0 END)
) WITH (fillfactor = 85);

-- A seller's changes of an unpaid order's price, each in place of the one before (app/price_changes).
CREATE TABLE price_change (
    change_id            bigint PRIMARY KEY,
    order_id             bigint NOT NULL,     -- of one shop
    changed_by           text NOT NULL,
    role                 text NOT NULL,
    reason               text NOT NULL,
    -- what was taken off the order, and what is taken off from now on
    before_minor         bigint NOT NULL CHECK (before_minor >= 0),
    after_minor          bigint NOT NULL CHECK (after_minor >= 0),
    payable_before_minor bigint NOT NULL,
    -- the same of each line: [{"line_id", "before_minor", "after_minor"}]
    lines                jsonb NOT NULL,
    created_at           timestamptz NOT NULL
);
CREATE INDEX price_change_order ON price_change (order_id, change_id);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
