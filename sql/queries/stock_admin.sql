-- name: read_normal_pool
-- The stock of a SKU's normal sale, and whose it is.
SELECT pool_id, on_hand, reserved, pool.version, shop_id
FROM stock_pool AS pool JOIN sku USING (sku_id) JOIN item USING (item_id)
WHERE sku_id = $1 AND activity_id = '0';

-- name: lock_normal_pool
-- The same, locked.
SELECT pool_id, on_hand, reserved, pool.version, shop_id
FROM stock_pool AS pool JOIN sku USING (sku_id) JOIN item USING (item_id)
WHERE sku_id = $1 AND activity_id = '0' FOR UPDATE OF pool;

-- name: change_on_hand<!
-- Change what a pool holds, with the movement that says why.
WITH moved AS (
    INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, reason)
    VALUES ($1, $2, $3, 0, $4)
)
UPDATE stock_pool SET on_hand = on_hand + $3, version = version + 1
WHERE pool_id = $1
RETURNING on_hand, reserved, version;
