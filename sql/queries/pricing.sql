-- name: snapshot_versions
-- How far each of these snapshots has come.
SELECT name, version FROM snapshot_version WHERE name = ANY($1::text[]);

-- name: shops_since
-- Shops that changed after a version.
SELECT shop_id, name, currency, freight_template_id FROM shop WHERE version > $1;

-- name: skus_since
-- SKUs that changed after a version, by themselves or with their item.
SELECT s.sku_id, s.item_id, i.shop_id, i.title, i.item_type, i.category_ids, s.prices, s.weight_grams,
    p.pool_id, s.reserve_on, s.attributes, i.freight_template_id, s.withdrawn
FROM sku AS s JOIN item AS i USING (item_id) JOIN stock_pool AS p ON p.sku_id = s.sku_id AND p.activity_id = '0'
WHERE s.sku_id IN (
    SELECT sku_id FROM sku WHERE version > $1
    UNION SELECT sku_id FROM sku JOIN item USING (item_id) WHERE item.version > $1);

-- name: promotions_since
-- Promotions that changed after a version.
SELECT promotion_id, document FROM promotion WHERE version > $1;

-- name: templates_since
-- Coupon templates that changed after a version.
SELECT template_id, document FROM coupon_template WHERE version > $1;

-- name: points_rules_since
-- What points are worth, if it changed after a version.
SELECT document FROM points_rules WHERE version > $1;

-- name: freight_templates_since
-- Freight templates that changed after a version.
SELECT template_id, document FROM freight_template WHERE version > $1;

-- name: tax_rules_since
-- Tax rules that changed after a version.
SELECT tax_rule_id, document FROM tax_rule WHERE version > $1;

-- name: fx_rates_since
-- Bases whose rates changed after a version.
SELECT document FROM fx_rates WHERE version > $1;

-- name: flash_sales_since
-- Flash sales that changed after a version, whole; at the start (version 0) those that have not ended.
SELECT f.activity_id, f.name, f.starts_at, f.ends_at, f.ended_at IS NOT NULL AS ended,
    coalesce((
        SELECT jsonb_object_agg(sku_id, jsonb_build_object('price_minor', price_minor, 'currency', currency,
            'quantity', quantity, 'per_buyer_max', per_buyer_max, 'pool_id', pool_id))
        FROM flash_sale_item WHERE flash_sale_item.activity_id = f.activity_id), '{}') AS items
FROM flash_sale AS f WHERE f.version > $1 AND ($1 > 0 OR f.ended_at IS NULL);
