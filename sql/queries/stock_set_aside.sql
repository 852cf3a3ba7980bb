-- name: add_pools!
-- The activity's own pools begin empty.
INSERT INTO stock_pool (sku_id, activity_id) SELECT sku_id, $1 FROM unnest($2::text[]) AS l (sku_id)
ORDER BY sku_id
ON CONFLICT DO NOTHING;

-- name: lock_pools
-- The SKUs' pools of the activity and of normal sale, locked in the global order.
SELECT pool_id, sku_id, activity_id, on_hand, reserved, shop_id
FROM stock_pool AS pool JOIN sku USING (sku_id) JOIN item USING (item_id)
WHERE sku_id = ANY($1::text[]) AND activity_id IN ('0', $2)
ORDER BY pool_id FOR UPDATE OF pool;

-- name: move_stock!
-- Move units between pools; the movements say for which activity.
WITH moved AS (
    SELECT pool_id, delta FROM unnest($1::bigint[], $2::bigint[]) AS m (pool_id, delta)
), changed AS (
    UPDATE stock_pool AS p SET on_hand = on_hand + delta, version = version + 1
    FROM moved WHERE p.pool_id = moved.pool_id
)
INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, reason)
SELECT pool_id, CASE WHEN delta > 0 THEN 'supply_in' ELSE 'supply_out' END, delta, 0, $3 FROM moved;

-- name: close_pools!
-- These pools take no more orders.
UPDATE stock_pool SET closed = true, version = version + 1 WHERE pool_id = ANY($1::bigint[]);

-- name: reopen_pools!
-- They sell again: a SKU that comes back into an activity sells from its old pool.
UPDATE stock_pool SET closed = false, version = version + 1 WHERE pool_id = ANY($1::bigint[]) AND closed;
