-- name: read_root
-- The order that is paid, with what it was priced with.
SELECT o.shop_id, o.payable_minor, r.order_id AS root_id, r.currency, r.quote_id, r.priced_with
FROM orders AS o JOIN orders AS r ON r.order_id = coalesce(o.parent_id, o.order_id)
WHERE o.order_id = $1;

-- name: read_lines
-- All lines of a root and its children, with their shops, and their SKUs' items with the categories of that time.
SELECT l.*, o.shop_id, shop.currency AS shop_currency, sku.item_id,
    coalesce((SELECT h.category_ids FROM item_history AS h
              WHERE h.item_id = sku.item_id AND h.until_version > $2 ORDER BY h.until_version LIMIT 1),
             item.category_ids) AS category_ids
FROM orders AS o JOIN order_line AS l USING (order_id)
JOIN sku USING (sku_id) JOIN item USING (item_id) JOIN shop ON shop.shop_id = o.shop_id
WHERE o.order_id = $1 OR o.parent_id = $1
ORDER BY l.order_id, l.line_id;

-- name: promotions_at
-- The promotions of the platform and of these shops as they were at a version.
SELECT promotion_id AS rule_id, document FROM promotion
WHERE version <= $1 AND (shop_id IS NULL OR shop_id = ANY($2::text[]))
UNION ALL
SELECT rule_id, document FROM rule_history
WHERE kind = 'promotion' AND version <= $1 AND until_version > $1
  AND (document ->> 'shop_id' IS NULL OR document ->> 'shop_id' = ANY($2::text[]));

-- name: coupons_at
-- These coupons with their templates as they were at a version.
SELECT c.coupon_id::text, c.template_id, coalesce(
    (SELECT h.document FROM rule_history AS h
     WHERE h.kind = 'coupon' AND h.rule_id = c.template_id AND h.until_version > $1 ORDER BY h.until_version LIMIT 1),
    t.document) AS document
FROM coupon AS c JOIN coupon_template AS t USING (template_id)
WHERE c.coupon_id = ANY($2::bigint[]);
