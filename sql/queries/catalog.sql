-- name: upsert_shop<!
-- Create or change a shop; no row when nothing is different.
INSERT INTO shop (shop_id, name, currency, freight_template_id, version) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (shop_id) DO UPDATE
    SET name = excluded.name, currency = excluded.currency, freight_template_id = excluded.freight_template_id,
        version = excluded.version
    WHERE (shop.name, shop.currency, shop.freight_template_id)
        IS DISTINCT FROM (excluded.name, excluded.currency, excluded.freight_template_id)
RETURNING shop_id;

-- name: read_shop
-- One shop.
SELECT shop_id, name, currency, freight_template_id FROM shop WHERE shop_id = $1;

-- name: list_shops
-- Shops after a cursor.
SELECT shop_id, name, currency, freight_template_id FROM shop
WHERE shop_id > $1 AND ($2::text IS NULL OR shop_id = $2)
ORDER BY shop_id LIMIT $3;

-- name: shop_of_freight_template
-- Whose template it is.
SELECT shop_id FROM freight_template WHERE template_id = $1;

-- name: shop_of_item
-- Whose item it is.
SELECT shop_id FROM item WHERE item_id = $1;

-- name: skus_of_other_shops
-- Those of the SKUs that another shop has.
SELECT sku_id FROM sku JOIN item USING (item_id)
WHERE sku_id = ANY($1::text[]) AND shop_id <> $2 ORDER BY sku_id;

-- name: upsert_item<!
-- Create or change an item; no row when nothing is different. An item stays with its shop.
INSERT INTO item (item_id, shop_id, title, item_type, category_ids, freight_template_id, version)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (item_id) DO UPDATE
    SET title = excluded.title, item_type = excluded.item_type, category_ids = excluded.category_ids,
        freight_template_id = excluded.freight_template_id, version = excluded.version
    WHERE (item.title, item.item_type, item.category_ids, item.freight_template_id)
        IS DISTINCT FROM (excluded.title, excluded.item_type, excluded.category_ids, excluded.freight_template_id)
RETURNING item_id;

-- name: upsert_skus<!
-- Create or change an item's SKUs; gives those that are different now.
INSERT INTO sku (item_id, sku_id, position, attributes, weight_grams, prices, reserve_on, version)
SELECT $1, listed.*, $2
FROM unnest($3::text[], $4::integer[], $5::jsonb[], $6::integer[], $7::jsonb[], $8::text[]) AS listed (sku_id)
ORDER BY listed.sku_id
ON CONFLICT (sku_id) DO UPDATE
    SET item_id = excluded.item_id, position = excluded.position, attributes = excluded.attributes,
        weight_grams = excluded.weight_grams, prices = excluded.prices, reserve_on = excluded.reserve_on,
        withdrawn = false, version = excluded.version
    WHERE (sku.item_id, sku.position, sku.attributes, sku.weight_grams, sku.prices, sku.reserve_on, sku.withdrawn)
        IS DISTINCT FROM (excluded.item_id, excluded.position, excluded.attributes, excluded.weight_grams,
                          excluded.prices, excluded.reserve_on, false)
RETURNING sku_id;

-- name: withdraw_skus<!
-- Take the SKUs from sale that an item does not list any more.
UPDATE sku SET withdrawn = true, version = $2
WHERE item_id = $1 AND NOT withdrawn AND sku_id <> ALL($3::text[])
RETURNING sku_id;

-- name: add_normal_pools!
-- Every SKU has a pool for normal sale; it begins empty.
INSERT INTO stock_pool (sku_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING;

-- name: read_items
-- Items with their SKUs in their order, by id.
SELECT item_id, shop_id, title, item_type, category_ids, freight_template_id,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object('sku_id', sku_id, 'attributes', attributes, 'weight_grams',
            weight_grams, 'prices', prices, 'reserve_on', reserve_on, 'withdrawn', withdrawn)
            ORDER BY position, sku_id)
        FROM sku WHERE sku.item_id = item.item_id), '[]') AS skus
FROM item WHERE item_id = ANY($1::text[]) ORDER BY item_id;

-- name: list_item_ids
-- Ids of items after a cursor, of one shop or of all.
SELECT item_id FROM item WHERE item_id > $1 AND ($2::text IS NULL OR shop_id = $2)
ORDER BY item_id LIMIT $3;
