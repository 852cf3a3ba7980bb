-- name: open_limits!
-- Rows to lock: a buyer who has bought nothing yet has none.
INSERT INTO purchase_limit (activity_id, sku_id, buyer_id, quantity)
SELECT DISTINCT activity_id, sku_id, buyer_id, 0
FROM unnest($1::text[], $2::text[], $3::text[]) AS l (activity_id, sku_id, buyer_id)
ORDER BY activity_id, sku_id, buyer_id
ON CONFLICT DO NOTHING;

-- name: lock_limits
-- What these buyers have taken so far, in one order.
SELECT activity_id, sku_id, buyer_id, quantity FROM purchase_limit
WHERE (activity_id, sku_id, buyer_id) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
ORDER BY activity_id, sku_id, buyer_id FOR UPDATE;

-- name: raise_limits!
-- What they have taken now.
UPDATE purchase_limit AS l SET quantity = t.quantity
FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS t (activity_id, sku_id, buyer_id, quantity)
WHERE (l.activity_id, l.sku_id, l.buyer_id) = (t.activity_id, t.sku_id, t.buyer_id);

-- name: return_limits<!
-- The buyers may buy again what they had taken of an activity.
WITH returned AS (
    SELECT o.activity_id, l.sku_id, o.buyer_id, min(o.shop_id) AS shop_id, sum(l.quantity)::integer AS quantity
    FROM orders AS o JOIN order_line AS l USING (order_id)
        JOIN stock_pool AS s USING (pool_id, activity_id)  -- not a gift that came from the normal pool
    WHERE o.order_id = ANY($1::bigint[]) GROUP BY o.activity_id, l.sku_id, o.buyer_id
), locked AS (
    SELECT r.* FROM returned AS r JOIN purchase_limit AS p USING (activity_id, sku_id, buyer_id)
    ORDER BY p.activity_id, p.sku_id, p.buyer_id FOR UPDATE OF p
)
UPDATE purchase_limit AS p SET quantity = p.quantity - l.quantity FROM locked AS l
WHERE (p.activity_id, p.sku_id, p.buyer_id) = (l.activity_id, l.sku_id, l.buyer_id)
RETURNING l.shop_id, l.activity_id, l.sku_id, l.buyer_id, l.quantity;
