-- name: read_root
-- The order that is paid, with what it was priced with.
SELECT o.shop_id, o.payable_minor, r.order_id AS root_id, r.currency, r.quote_id, r.priced_with, r.fx_rates
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
SELECT promotion_id AS rule_id, version, document FROM promotion
WHERE version <= $1 AND (shop_id IS NULL OR shop_id = ANY($2::text[]))
UNION ALL
SELECT rule_id, version, document FROM rule_history
WHERE kind = 'promotion' AND version <= $1 AND until_version > $1
  AND (document ->> 'shop_id' IS NULL OR document ->> 'shop_id' = ANY($2::text[]));

-- name: coupons_at
-- These coupons with their templates as they were at a version.
SELECT c.coupon_id::text, c.template_id, c.valid_to, coalesce(h.version, t.version) AS version, coalesce(h.document, t.document) AS document
FROM coupon AS c JOIN coupon_template AS t USING (template_id)
LEFT JOIN LATERAL (
    SELECT version, document FROM rule_history
    WHERE kind = 'coupon' AND rule_id = c.template_id AND until_version > $1 ORDER BY until_version LIMIT 1) AS h ON true
WHERE c.coupon_id = ANY($2::bigint[]);

-- name: charges_at
-- Freight templates and tax rules as they were at a version.
SELECT 'freight' AS kind, template_id AS rule_id, version, document FROM freight_template WHERE version <= $1
UNION ALL
SELECT 'tax', tax_rule_id, version, document FROM tax_rule WHERE version <= $1
UNION ALL
SELECT kind, rule_id, version, document FROM rule_history
WHERE kind IN ('freight', 'tax') AND version <= $1 AND until_version > $1;

-- name: points_rules_at
-- What points were worth at a version of the promotions.
SELECT version, document FROM points_rules WHERE version <= $1
UNION ALL
SELECT version, document FROM rule_history WHERE kind = 'points' AND version <= $1 AND until_version > $1;

-- name: parcels_at
-- How these SKUs were sent at a version of the catalog: their weight, their item's template and their shop's.
SELECT s.sku_id, shop.shop_id, coalesce(sh.weight_grams, s.weight_grams) AS weight_grams,
    CASE WHEN ih.item_id IS NULL THEN item.freight_template_id ELSE ih.freight_template_id END AS template_id,
    CASE WHEN oh.shop_id IS NULL THEN shop.freight_template_id ELSE oh.freight_template_id END AS shop_template_id
FROM sku AS s JOIN item USING (item_id) JOIN shop USING (shop_id)
LEFT JOIN LATERAL (SELECT * FROM sku_history AS h WHERE h.sku_id = s.sku_id AND h.until_version > $1
                   ORDER BY until_version LIMIT 1) AS sh ON true
LEFT JOIN LATERAL (SELECT * FROM item_history AS h WHERE h.item_id = s.item_id AND h.until_version > $1
                   ORDER BY until_version LIMIT 1) AS ih ON true
LEFT JOIN LATERAL (SELECT * FROM shop_history AS h WHERE h.shop_id = item.shop_id AND h.until_version > $1
                   ORDER BY until_version LIMIT 1) AS oh ON true
WHERE s.sku_id = ANY($2::text[]);

-- name: balances_before
-- What a root order's balances held when it took something of them, and what else decided how much. Points stand
-- on an account of their buyer, whose id need not be a number.
SELECT d.kind, e.balance_after - e.amount_minor AS amount, c.card_id::text, c.code, c.currency AS card_currency,
    k.packet_id::text, p.name, p.shop_id, p.currency AS packet_currency, k.amount_minor AS packet_minor,
    k.min_amount_minor, coalesce(c.pays_charges, k.pays_charges, false) AS pays_charges
FROM (SELECT DISTINCT kind, account FROM order_deduction WHERE root_id = $1) AS d
JOIN ledger_entry AS e ON e.posting_kind = 'freeze' AND e.posting_id = $1 AND e.account = d.account
LEFT JOIN gift_card AS c ON c.card_id = CASE WHEN d.kind = 'gift_card' THEN split_part(d.account, ':', 2)::bigint END
LEFT JOIN red_packet AS k ON k.packet_id = CASE WHEN d.kind = 'red_packet' THEN split_part(d.account, ':', 2)::bigint END
LEFT JOIN red_packet_pool AS p USING (pool_id);

-- name: price_changes_of
-- A seller's changes of these orders, the first one first.
SELECT change_id::text, order_id::text, reason, before_minor, after_minor, payable_before_minor, lines, created_at
FROM price_change WHERE order_id = ANY($1::bigint[]) ORDER BY change_id;
