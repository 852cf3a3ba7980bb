-- name: lock_sale
-- A flash sale as it stands; its row is locked.
SELECT activity_id, name, starts_at, ends_at, ended_at FROM flash_sale WHERE activity_id = $1 FOR UPDATE;

-- name: read_sales
-- Flash sales by id.
SELECT activity_id, name, starts_at, ends_at, ended_at FROM flash_sale
WHERE activity_id = ANY($1::text[]) ORDER BY activity_id;

-- name: read_items
-- What flash sales sell, and what is left in their pools.
SELECT s.activity_id, s.sku_id, s.currency, s.price_minor, s.quantity, s.per_buyer_max, s.pool_id,
    p.on_hand, p.reserved
FROM flash_sale_item AS s JOIN stock_pool AS p USING (pool_id)
WHERE s.activity_id = ANY($1::text[]) ORDER BY s.activity_id, s.sku_id;

-- name: list_ids
-- Flash sales after a cursor; of a merchant those that sell its shop's SKUs.
SELECT activity_id FROM flash_sale AS f
WHERE activity_id > $1 AND ($2::text IS NULL OR EXISTS (
    SELECT FROM flash_sale_item AS s JOIN sku USING (sku_id) JOIN item USING (item_id)
    WHERE s.activity_id = f.activity_id AND shop_id = $2))
ORDER BY activity_id LIMIT $3;

-- name: shops_of_skus
-- Whose the SKUs are; those that do not exist or are withdrawn are missing.
SELECT sku_id, shop_id FROM sku JOIN item USING (item_id) WHERE sku_id = ANY($1::text[]) AND NOT withdrawn;

-- name: upsert_sale!
-- Create or change a flash sale.
INSERT INTO flash_sale (activity_id, name, starts_at, ends_at, version) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (activity_id) DO UPDATE
    SET name = excluded.name, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
        version = excluded.version;

-- name: upsert_items!
-- What the flash sale sells.
INSERT INTO flash_sale_item (activity_id, sku_id, currency, price_minor, quantity, per_buyer_max, pool_id)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::integer[], $7::bigint[])
ON CONFLICT (activity_id, sku_id) DO UPDATE
    SET currency = excluded.currency, price_minor = excluded.price_minor, quantity = excluded.quantity,
        per_buyer_max = excluded.per_buyer_max;

-- name: delete_items!
-- What it does not sell any more.
DELETE FROM flash_sale_item WHERE activity_id = $1 AND sku_id = ANY($2::text[]);

-- name: due_sales
-- Flash sales whose time is over and that have not been ended.
SELECT activity_id FROM flash_sale WHERE ended_at IS NULL AND ends_at <= $1 ORDER BY ends_at LIMIT $2;

-- name: end_sale<!
-- End a flash sale, once.
UPDATE flash_sale SET ended_at = $2, version = $3
WHERE activity_id = $1 AND ended_at IS NULL AND ends_at <= $2
RETURNING activity_id;
