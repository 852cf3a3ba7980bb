-- name: upsert_promotion<!
-- Create or change a promotion; no row when nothing is different.
INSERT INTO promotion (promotion_id, shop_id, document, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (promotion_id) DO UPDATE
    SET shop_id = excluded.shop_id, document = excluded.document, version = excluded.version
    WHERE promotion.document IS DISTINCT FROM excluded.document
RETURNING promotion_id;

-- name: read_promotion
-- One promotion.
SELECT promotion_id, shop_id, document FROM promotion WHERE promotion_id = $1;

-- name: list_promotions
-- Promotions after a cursor, of one shop or of all.
SELECT promotion_id, document FROM promotion
WHERE promotion_id > $1 AND ($2::text IS NULL OR shop_id = $2) ORDER BY promotion_id LIMIT $3;

-- name: skus_on_sale
-- Those of these SKUs that are on sale, in one shop or in any.
SELECT sku_id FROM sku JOIN item USING (item_id)
WHERE sku_id = ANY($1::text[]) AND NOT withdrawn AND ($2::text IS NULL OR shop_id = $2);

-- name: keep_override!
-- Somebody has published a promotion below the floor.
INSERT INTO promotion_override (promotion_id, version, by_sub, at, violations) VALUES ($1, $2, $3, $4, $5);
