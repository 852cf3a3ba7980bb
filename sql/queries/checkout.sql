-- name: take_keys<!
-- Take the keys of a batch; a key that is missing from the answer is somebody else's or an earlier call's.
-- Sorted, so that two batches wait for each other in one direction only.
INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::smallint[], $6::bytea[])
    AS k (digest, call, caller_id, request_hash, status, response)
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- name: release_keys!
-- A refused call leaves no key behind.
DELETE FROM idempotency WHERE digest = ANY($1::bytea[]);

-- name: lock_pools
SELECT pool_id, on_hand, reserved, version, closed FROM stock_pool
WHERE pool_id = ANY($1::bigint[]) ORDER BY pool_id FOR UPDATE;

-- name: write_orders<!
-- All rows of a batch at once, or none: keys, orders with what must be paid, lines, stock with its movements,
-- events. $1 and $2 are JSON arrays of OrderDraft and LineDraft; $3 to $5 the pools, what is wanted of each and
-- what is reserved of it; $6 to $9 the keys, none where they are held already. Returns the pools as they are now.
-- An order without an address but with its id gets the buyer's as it is now, if something may be sent there and
-- it is where the order was priced for. All of that is found out before a pool is locked.
-- What becomes jsonb is read as json and cast: json_to_recordset takes twice as long for a jsonb column.
-- The keys come before the pools, and these in order of their ids, as everywhere.
WITH keys AS (
    INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response)
    SELECT digest, 'checkout/entries', caller_id, request_hash, 201, response
    FROM unnest($6::bytea[], $7::text[], $8::bytea[], $9::bytea[]) AS k (digest, caller_id, request_hash, response)
    ORDER BY digest
    RETURNING digest
), drafts AS MATERIALIZED (
    SELECT *, coalesce(address::jsonb, (SELECT snapshot FROM destination AS d
        WHERE d.address_id = o.address_id AND d.buyer_id = o.buyer_id AND d.region = coalesce(o.region, d.region)
            AND NOT blocked)) AS destination
    FROM json_to_recordset($1::json) AS o (order_id bigint, parent_id bigint, buyer_id text,
        shop_id text, currency text, goods_minor bigint, promotion_discount_minor bigint,
        coupon_discount_minor bigint, points_discount_minor bigint, red_packet_minor bigint,
        gift_card_minor bigint, freight_minor bigint, tax_minor bigint, payable_minor bigint, mode text,
        activity_id text, address_id bigint, region text, address json, memo text, source text, quote_id text,
        created_at timestamptz, pay_deadline timestamptz, event json, points_used bigint, points_earned bigint,
        priced_with json, fx_rates json)
), wanted AS (
    SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS w (pool_id, wanted, taken)
), locked AS MATERIALIZED (
    SELECT pool_id, on_hand - reserved AS free, closed FROM stock_pool
    WHERE pool_id = ANY($3::bigint[]) AND (SELECT count(*) FROM keys) >= 0
        AND (SELECT must_fit(bool_and(address_id IS NULL OR destination IS NOT NULL)) FROM drafts)
    ORDER BY pool_id FOR UPDATE
), fitting AS MATERIALIZED (
    SELECT must_fit(count(*) = cardinality($3::bigint[]) AND bool_and(NOT closed AND free >= wanted)) AS fits
    FROM locked JOIN wanted USING (pool_id)
), reserved AS (
    UPDATE stock_pool AS p SET reserved = reserved + taken, version = version + 1
    FROM wanted AS w, fitting WHERE p.pool_id = w.pool_id AND fits
    RETURNING p.pool_id, p.on_hand - p.reserved AS free, p.version
), placed AS (
    INSERT INTO orders (order_id, parent_id, buyer_id, shop_id, status, currency, goods_minor,
        promotion_discount_minor, coupon_discount_minor, points_discount_minor, red_packet_minor,
        gift_card_minor, freight_minor, tax_minor, payable_minor, mode, activity_id, address, memo, source,
        quote_id, created_at, pay_deadline, points_used, points_earned, priced_with,
        fx_rates)
    SELECT order_id, parent_id, buyer_id, shop_id, 'NOT_PAID', currency, goods_minor,
        promotion_discount_minor, coalesce(coupon_discount_minor, 0), coalesce(points_discount_minor, 0),
        coalesce(red_packet_minor, 0), coalesce(gift_card_minor, 0), coalesce(freight_minor, 0),
        coalesce(tax_minor, 0), payable_minor, mode, activity_id, destination, memo, source, quote_id,
        created_at, pay_deadline, coalesce(points_used, 0), coalesce(points_earned, 0),
        priced_with::jsonb, fx_rates::jsonb
    FROM drafts
), due AS (
    INSERT INTO pay_order (order_id, currency, amount_minor)
    SELECT order_id, currency, payable_minor FROM drafts WHERE parent_id IS NULL
), lines AS (
    INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity,
        unit_price_minor, list_price_minor, goods_minor, promotion_discount_minor, coupon_discount_minor,
        points_discount_minor, red_packet_minor, gift_card_minor, freight_minor, tax_minor, payable_minor,
        tax_included_minor, undiscounted_minor, discounts)
    SELECT order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity, unit_price_minor,
        list_price_minor, goods_minor, promotion_discount_minor, coalesce(coupon_discount_minor, 0),
        coalesce(points_discount_minor, 0), coalesce(red_packet_minor, 0), coalesce(gift_card_minor, 0),
        coalesce(freight_minor, 0), coalesce(tax_minor, 0), payable_minor,
        coalesce(tax_included_minor, 0), coalesce(undiscounted_minor, 0), discounts::jsonb
    FROM json_to_recordset($2::json) AS l (order_id bigint, line_id bigint, sku_id text, title text,
        item_type text, pool_id bigint, reserve_on text, quantity integer, unit_price_minor bigint,
        list_price_minor bigint, goods_minor bigint, promotion_discount_minor bigint,
        coupon_discount_minor bigint, points_discount_minor bigint, red_packet_minor bigint,
        gift_card_minor bigint, freight_minor bigint, tax_minor bigint, payable_minor bigint,
        tax_included_minor bigint, undiscounted_minor bigint, discounts json)
    RETURNING order_id, pool_id, quantity, reserve_on
), moved AS (
    INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
    SELECT pool_id, 'reserve', 0, quantity, order_id FROM lines WHERE reserve_on = 'place'
), told AS (
    INSERT INTO outbox (topic, aggregate_id, aggregate_version, payload)
    SELECT 'order.placed', order_id, 1, event::jsonb FROM drafts WHERE event IS NOT NULL
)
SELECT pool_id, free, version FROM reserved;
