-- `bench.groups` groups of the campaign `bench.campaign`, each with the buyer who has started it, of what costs nothing: so no
-- payment belongs to it. Their events are not there.

CREATE TEMP TABLE started ON COMMIT DROP AS
SELECT n, c.campaign_id, c.shop_id, c.orders_to_succeed AS slots, c.ends_at, i.campaign_item_id, i.sku_id, i.pool_id,
       -- as app/lib/ids.py makes them: milliseconds since 2025, then the node (here the last one)
       (((extract(epoch FROM now() - interval '1 hour') - extract(epoch FROM timestamptz '2025-01-01Z')) * 1000)::bigint
         + n << 22) | (1023 << 12) AS order_id
FROM generate_series(1, current_setting('bench.groups')::bigint) AS n, campaign AS c JOIN campaign_item AS i USING (campaign_id)
WHERE c.campaign_id = current_setting('bench.campaign')::bigint AND i.sale_price_minor = 0;

INSERT INTO orders (order_id, buyer_id, shop_id, status, currency, goods_minor, payable_minor, mode, activity_id,
                    version, created_at, pay_deadline, paid_at)
SELECT order_id, 'starter-' || n, shop_id, 'PENDING_GROUP', 'CNY', 0, 0, 'group', 'campaign:' || campaign_id, 2,
       now(), now() + interval '15 minutes', now()
FROM started ORDER BY order_id;

INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity, unit_price_minor,
                        list_price_minor, goods_minor, payable_minor)
SELECT order_id, order_id + 1, sku_id, sku_id, 'physical', pool_id, 'group', 1, 0, 0, 0, 0
FROM started ORDER BY order_id;

INSERT INTO pay_order (order_id, status, currency, amount_minor) SELECT order_id, 'PAID', 'CNY', 0 FROM started;

INSERT INTO buy_group (group_id, campaign_id, slots, members_paid, share_code, started_at, ends_at)
SELECT order_id, campaign_id, slots, 1, 'bench-' || n, now(), ends_at FROM started;

INSERT INTO group_order (order_id, campaign_id, campaign_item_id, buyer_id, quantity, settlement_price_minor, group_id, slot,
                         status, paid_at)
SELECT order_id, campaign_id, campaign_item_id, 'starter-' || n, 1, 0, order_id, 1, 'PAID', now() FROM started;

ANALYZE orders, order_line, pay_order, buy_group, group_order;
