-- name: clear!
-- Empty the waiting room; a second import waits here for the first.
TRUNCATE import_shop, import_item, import_sku, import_bad_row;

-- name: analyze_items!
-- Tell the planner how much has come.
ANALYZE import_item;

-- name: analyze_skus!
-- Tell the planner how much has come.
ANALYZE import_sku;

-- name: judge_items!
-- Turn away items that stand there twice, of a shop that does not exist, or of another shop.
WITH judged AS (
    SELECT i.line, CASE
        WHEN i.first_line < i.line THEN format('the item %s stands already on line %s', i.item_id, i.first_line)
        WHEN NOT EXISTS (SELECT FROM shop s WHERE s.shop_id = i.shop_id)
            AND NOT EXISTS (SELECT FROM import_shop s WHERE s.shop_id = i.shop_id)
            THEN format('there is no shop %s', i.shop_id)
        WHEN known.shop_id <> i.shop_id THEN format('the item %s belongs to the shop %s', i.item_id, known.shop_id)
        END AS reason
    FROM (SELECT *, min(line) OVER (PARTITION BY item_id) AS first_line FROM import_item) i
    LEFT JOIN item known USING (item_id)
), turned_away AS (
    DELETE FROM import_item i USING judged j WHERE i.line = j.line AND j.reason IS NOT NULL
    RETURNING i.line, j.reason
), with_skus AS (
    DELETE FROM import_sku s USING turned_away t WHERE s.item_line = t.line RETURNING s.line, t.reason
)
INSERT INTO import_bad_row (line, reason) SELECT DISTINCT line, reason FROM with_skus;

-- name: judge_skus!
-- Turn away SKUs that stand there twice or that another shop has.
WITH judged AS (
    SELECT s.line, s.position, CASE
        WHEN s.place > 1 THEN format('the SKU %s stands already on line %s', s.sku_id, s.first_line)
        WHEN owner.shop_id <> s.shop_id THEN format('the SKU %s belongs to the shop %s', s.sku_id, owner.shop_id)
        END AS reason
    FROM (SELECT *, row_number() OVER same_sku AS place, first_value(line) OVER same_sku AS first_line
          FROM import_sku WINDOW same_sku AS (PARTITION BY sku_id ORDER BY line, position)) s
    LEFT JOIN sku known USING (sku_id)
    LEFT JOIN item owner ON owner.item_id = known.item_id
), turned_away AS (
    DELETE FROM import_sku s USING judged j
    WHERE (s.line, s.position) = (j.line, j.position) AND j.reason IS NOT NULL
    RETURNING s.line, j.reason
)
INSERT INTO import_bad_row (line, reason) SELECT line, reason FROM turned_away;

-- name: drop_empty_items!
-- An item of which no SKU is left is not imported.
DELETE FROM import_item i WHERE NOT EXISTS (SELECT FROM import_sku s WHERE s.item_line = i.line);

-- name: bad_rows
-- What was wrong, in the file's order.
SELECT line, reason FROM import_bad_row ORDER BY line, reason;

-- name: merge_shops<!
-- Shops that are new or different; of two lines for one shop the later counts.
WITH merged AS (
    INSERT INTO shop (shop_id, name, currency, version)
    SELECT DISTINCT ON (shop_id) shop_id, name, currency, $1 FROM import_shop ORDER BY shop_id, line DESC
    ON CONFLICT (shop_id) DO UPDATE
        SET name = excluded.name, currency = excluded.currency, version = excluded.version
        WHERE (shop.name, shop.currency) IS DISTINCT FROM (excluded.name, excluded.currency)
    RETURNING shop_id
)
SELECT count(*) FROM merged;

-- name: merge_items<!
-- Items that are new or different.
WITH merged AS (
    INSERT INTO item (item_id, shop_id, title, item_type, category_ids, version)
    SELECT item_id, shop_id, title, item_type, category_ids, $1 FROM import_item ORDER BY item_id
    ON CONFLICT (item_id) DO UPDATE
        SET title = excluded.title, item_type = excluded.item_type, category_ids = excluded.category_ids,
            version = excluded.version
        WHERE (item.title, item.item_type, item.category_ids)
            IS DISTINCT FROM (excluded.title, excluded.item_type, excluded.category_ids)
    RETURNING item_id
)
SELECT count(*) FROM merged;

-- name: merge_skus<!
-- SKUs that are new or different. A price in a currency that the file does not have stays as it is.
WITH merged AS (
    INSERT INTO sku (sku_id, item_id, position, attributes, weight_grams, prices, reserve_on, withdrawn, version)
    SELECT sku_id, item_id, position, attributes, weight_grams, prices, reserve_on, withdrawn, $1
    FROM import_sku ORDER BY sku_id
    ON CONFLICT (sku_id) DO UPDATE
        SET item_id = excluded.item_id, position = excluded.position, attributes = excluded.attributes,
            weight_grams = excluded.weight_grams, prices = sku.prices || excluded.prices,
            reserve_on = excluded.reserve_on, withdrawn = excluded.withdrawn, version = excluded.version
        WHERE (sku.item_id, sku.position, sku.attributes, sku.weight_grams, sku.prices, sku.reserve_on,
               sku.withdrawn)
            IS DISTINCT FROM (excluded.item_id, excluded.position, excluded.attributes, excluded.weight_grams,
                              sku.prices || excluded.prices, excluded.reserve_on, excluded.withdrawn)
    RETURNING sku_id
)
SELECT count(*) FROM merged;

-- name: stock_new_skus<!
-- SKUs without a pool begin with the file's stock; of the others the ledger knows better than a file.
WITH stocked AS (
    INSERT INTO stock_pool (sku_id, on_hand)
    SELECT sku_id, on_hand FROM import_sku s
    WHERE NOT EXISTS (SELECT FROM stock_pool p WHERE p.sku_id = s.sku_id AND p.activity_id = '0')
    ORDER BY sku_id
    ON CONFLICT DO NOTHING
    RETURNING pool_id, on_hand
), moved AS (
    INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, reason)
    SELECT pool_id, 'set', on_hand, 0, 'import' FROM stocked WHERE on_hand > 0
    RETURNING movement_id
)
SELECT count(*) FROM moved;
