-- name: read_pools
-- What the ledger says of these pools.
SELECT pool_id, on_hand, reserved, version, closed FROM stock_pool WHERE pool_id = ANY($1::bigint[]);

-- name: read_limits
-- Everyone who has bought a shop's SKUs in an activity, and how many.
SELECT l.sku_id, l.buyer_id, l.quantity
FROM purchase_limit AS l JOIN sku USING (sku_id) JOIN item USING (item_id)
WHERE l.activity_id = $2 AND item.shop_id = $1 AND l.quantity > 0;
