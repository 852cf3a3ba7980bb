-- `settle.groups` groups of three that end at this moment, as starting, joining and paying would have left them:
-- of ten four full, two with two members where that is enough, two with two where it is not, one with an unpaid
-- member, and one whose last two members have not paid (where the last one locks the stock of all, it is locked).
-- A third each in campaigns of each stock policy. The tables are read by loadtest/settle.py.

CREATE TEMP TABLE made_group ON COMMIT DROP AS
SELECT n, kind, policy, c.campaign_id, c.shop_id, i.campaign_item_id, i.sku_id, i.pool_id, i.sale_price_minor AS price,
       CASE kind WHEN 'full' THEN 3 WHEN 'alone' THEN 1 WHEN 'half' THEN 1 ELSE 2 END AS paid,
       CASE kind WHEN 'short' THEN 2 WHEN 'two' THEN 2 WHEN 'half' THEN 2 ELSE 3 END AS members,
       now() - interval '15 seconds' AS ends_at
FROM generate_series(1, current_setting('settle.groups')::bigint) AS n,
     LATERAL (SELECT (ARRAY['full', 'full', 'full', 'full', 'short', 'short', 'two', 'two', 'half', 'alone'])[n % 10 + 1]
              AS kind, (ARRAY['last_member', 'each_member', 'on_success'])[n % 3 + 1] AS policy) AS t
JOIN campaign AS c ON c.name = format('%s %s', t.policy, CASE t.kind WHEN 'short' THEN 'short' ELSE 'whole' END)
JOIN campaign_item AS i USING (campaign_id);

CREATE TEMP TABLE made_order ON COMMIT DROP AS
SELECT g.*, slot, slot <= g.paid AS is_paid, format('member-%s-%s', n, slot) AS buyer_id,
       -- as app/lib/ids.py makes them: milliseconds since 2025, then the node (here the last one)
       (((extract(epoch FROM now() - interval '2 minutes' - n * interval '4 ms') - extract(epoch FROM timestamptz '2025-01-01Z'))
         * 1000)::bigint + slot << 22) | (1023 << 12) AS order_id,
       CASE WHEN policy = 'each_member' OR policy = 'last_member' AND members = 3 THEN 'place' ELSE 'group' END AS reserve_on
FROM made_group AS g, LATERAL generate_series(1, g.members) AS slot;

INSERT INTO orders (order_id, buyer_id, shop_id, status, currency, goods_minor, payable_minor, mode, activity_id, version,
                    created_at, pay_deadline, paid_at)
SELECT order_id, buyer_id, shop_id, CASE WHEN is_paid THEN 'PENDING_GROUP' ELSE 'NOT_PAID' END, 'CNY', price, price, 'group',
       'campaign:' || campaign_id, CASE WHEN is_paid THEN 2 ELSE 1 END, now() - interval '2 minutes',
       now() + interval '10 minutes', CASE WHEN is_paid THEN now() - interval '1 minute' END
FROM made_order ORDER BY order_id;

INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity, unit_price_minor,
                        list_price_minor, goods_minor, payable_minor)
SELECT order_id, order_id + 1, sku_id, sku_id, 'virtual', pool_id, reserve_on, 1, price, price, price, price
FROM made_order ORDER BY order_id;

INSERT INTO pay_order (order_id, status, currency, amount_minor, captured_minor, payment_id)
SELECT order_id, CASE WHEN is_paid THEN 'PAID' ELSE 'UNPAID' END, 'CNY', price, CASE WHEN is_paid THEN price ELSE 0 END,
       CASE WHEN is_paid THEN order_id + 2 END
FROM made_order;

INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status, currency, amount_minor, psp_reference,
                           created_at, updated_at)
SELECT order_id + 2, order_id, buyer_id, 'sandbox', 'card', 'CAPTURED', 'CNY', price, 'made-' || order_id, now(), now()
FROM made_order WHERE is_paid;

INSERT INTO ledger_entry (posting_kind, posting_id, account, currency, amount_minor, order_id)
SELECT 'capture', order_id + 2, account, 'CNY', amount_minor, order_id
FROM made_order, LATERAL (VALUES ('channel:sandbox', price), ('shop:' || shop_id, -price)) AS entry (account, amount_minor)
WHERE is_paid;

INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
SELECT pool_id, 'reserve', 0, 1, order_id FROM made_order WHERE reserve_on = 'place';

UPDATE stock_pool AS p SET reserved = reserved + r.units, version = version + 1
FROM (SELECT pool_id, count(*) AS units FROM made_order WHERE reserve_on = 'place' GROUP BY pool_id) AS r
WHERE p.pool_id = r.pool_id;

INSERT INTO buy_group (group_id, campaign_id, slots, members_paid, stock_locked, share_code, started_at, ends_at, version)
SELECT g.order_id, campaign_id, 3, paid, policy = 'last_member' AND members = 3, 'made-' || n, now() - interval '1 minute',
       ends_at, paid
FROM made_order AS g WHERE slot = 1;

INSERT INTO group_order (order_id, campaign_id, campaign_item_id, buyer_id, quantity, settlement_price_minor, group_id, slot,
                         status, paid_at)
SELECT o.order_id, campaign_id, campaign_item_id, buyer_id, 1, price, first.order_id, slot,
       CASE WHEN is_paid THEN 'PAID' ELSE 'UNPAID' END, CASE WHEN is_paid THEN now() - interval '1 minute' END
FROM made_order AS o JOIN (SELECT n, order_id FROM made_order WHERE slot = 1) AS first USING (n);

ANALYZE orders, order_line, pay_order, payment_order, group_order, buy_group;
