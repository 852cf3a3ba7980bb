-- `bench.orders` paid orders of two lines each over the last ninety days, as placing and paying would have
-- left them. Their events are not there: what every reader has had is pruned after a while.

CREATE TEMP TABLE sold ON COMMIT DROP AS
SELECT n,
       -- as app/lib/ids.py makes them: milliseconds since 2025, then the node (here the last one)
       (((extract(epoch FROM created_at) - extract(epoch FROM timestamptz '2025-01-01Z')) * 1000)::bigint << 22)
           | (1023 << 12) AS order_id,
       'past-' || n % 50000 AS buyer_id,
       created_at,
       'sku-' || n % 500 AS first_sku_id,
       'sku-' || n % 500 + 500 AS second_sku_id
FROM generate_series(1, current_setting('bench.orders')::bigint) AS n,
     LATERAL (SELECT now() - interval '90 days'
                     + n * (interval '89 days' / current_setting('bench.orders')::bigint) AS created_at) AS t;

CREATE TEMP TABLE sold_line ON COMMIT DROP AS
SELECT s.order_id, s.order_id + number AS line_id, sku_id, i.shop_id, i.title, i.item_type, p.pool_id,
       number AS quantity, (k.prices -> 'CNY' ->> 'price_minor')::bigint AS unit_price_minor,
       (k.prices -> 'CNY' ->> 'list_price_minor')::bigint AS list_price_minor
FROM sold AS s, LATERAL (VALUES (s.first_sku_id, 1), (s.second_sku_id, 2)) AS l (sku_id, number)
JOIN sku AS k USING (sku_id) JOIN item AS i USING (item_id) JOIN stock_pool AS p USING (sku_id)
WHERE p.activity_id = '0';
ANALYZE sold_line;

CREATE TEMP TABLE sold_order ON COMMIT DROP AS
SELECT s.*, t.shop_id, t.goods_minor, s.order_id + 3 AS payment_id
FROM sold AS s JOIN (SELECT order_id, min(shop_id) AS shop_id, sum(unit_price_minor * quantity) AS goods_minor
                     FROM sold_line GROUP BY order_id) AS t USING (order_id)
ORDER BY order_id;

INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response, created_at)
SELECT decode(md5('bench' || n), 'hex'), 'checkout/entries', buyer_id, decode(md5(buyer_id || n), 'hex'), 201,
       convert_to(format('{"order_id":"%s","status":"NOT_PAID","currency":"CNY","payable_minor":%s,"orders":'
                         '[{"order_id":"%s","shop_id":"%s","payable_minor":%s}]}',
                         order_id, goods_minor, order_id, shop_id, goods_minor), 'UTF8'),
       created_at
FROM sold_order;

INSERT INTO orders (order_id, buyer_id, shop_id, status, currency, goods_minor, payable_minor, address, version,
                    created_at, pay_deadline, paid_at)
SELECT order_id, buyer_id, shop_id, 'PENDING_SHIPMENT', 'CNY', goods_minor, goods_minor,
       '{"name": "Li Lei", "phone": "13800138000", "country": "CN", "region": "CN-SH", "city": "Shanghai",
         "street": "1 Nanjing Road", "postcode": "200001"}',
       2, created_at, created_at + interval '15 minutes', created_at + interval '1 minute'
FROM sold_order;

INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity,
                        unit_price_minor, list_price_minor, goods_minor, payable_minor)
SELECT order_id, line_id, sku_id, title, item_type, pool_id, 'place', quantity, unit_price_minor,
       list_price_minor, unit_price_minor * quantity, unit_price_minor * quantity
FROM sold_line ORDER BY order_id, line_id;

INSERT INTO pay_order (order_id, status, currency, amount_minor, captured_minor, payment_id)
SELECT order_id, 'PAID', 'CNY', goods_minor, goods_minor, payment_id FROM sold_order;

INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status, currency, amount_minor,
                           psp_reference, created_at, updated_at)
SELECT payment_id, order_id, buyer_id, 'sandbox', 'card', 'CAPTURED', 'CNY', goods_minor, 'past-' || n,
       created_at, created_at + interval '1 minute'
FROM sold_order;

INSERT INTO ledger_entry (posting_kind, posting_id, account, currency, amount_minor, order_id, created_at)
SELECT 'capture', payment_id, account, 'CNY', amount_minor, order_id, created_at
FROM sold_order, LATERAL (VALUES ('channel:sandbox', goods_minor), ('shop:' || shop_id, -goods_minor))
     AS entry (account, amount_minor);

INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
SELECT pool_id, kind, -on_hand * quantity, reserved * quantity, order_id
FROM sold_line, LATERAL (VALUES ('reserve', 0, 1), ('confirm', 1, -1)) AS movement (kind, on_hand, reserved)
ORDER BY order_id;

UPDATE stock_pool AS p SET on_hand = on_hand - taken, version = version + orders
FROM (SELECT pool_id, sum(quantity) AS taken, count(*) * 2 AS orders FROM sold_line GROUP BY pool_id) AS s
WHERE p.pool_id = s.pool_id;
