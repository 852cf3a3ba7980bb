-- As audit.sql: each statement returns the violations of one rule as (id, why), at most 1000.

-- name: seats_given
-- A seat that is given is a seat of what the order has bought in a group that has succeeded; two are never in one place.
SELECT format('%s %s %s', s.sku_id, s.row_name, s.number) AS id, format('line %s of order %s has no right to it', s.line_id,
       s.order_id) AS why
FROM seat AS s
WHERE s.order_id IS NOT NULL AND NOT EXISTS (SELECT FROM seat_claim AS c WHERE (c.sku_id, c.order_id, c.line_id)
                                             = (s.sku_id, s.order_id, s.line_id))
UNION ALL
SELECT format('%s %s %s', s.sku_id, s.row_name, s.number), format('another map of its session has it, too: %s', o.sku_id)
FROM seat AS s JOIN seat_map AS m USING (sku_id) JOIN sku USING (sku_id)
JOIN seat AS o ON (o.row_name, o.number) = (s.row_name, s.number) AND o.sku_id <> s.sku_id
JOIN seat_map AS n ON n.sku_id = o.sku_id AND n.session = m.session JOIN sku AS k ON k.sku_id = o.sku_id AND k.item_id = sku.item_id
LIMIT 1000;

-- name: seats_of_members
-- Where seats are given, every member of a group that has succeeded has as many as were bought and not given back.
SELECT c.order_id::text AS id, format('%s: line %s has a right to %s seats and has %s', c.status, c.line_id, c.seats, h.seats) AS why
FROM seat_claim AS c JOIN seat_map USING (sku_id),
    LATERAL (SELECT count(*) AS seats FROM seat AS s WHERE s.order_id = c.order_id AND s.line_id = c.line_id) AS h
-- what goes back after the goods were sent takes no seat with it
WHERE h.seats < c.seats OR h.seats > c.seats AND c.status = 'PENDING_SHIPMENT'
LIMIT 1000;

-- name: seats_suffice
-- There is a free seat for all that campaigns may still sell.
SELECT m.sku_id AS id, format('%s seats are free, campaigns sell %s', s.free, p.on_sale) AS why
FROM seat_map AS m,
    LATERAL (SELECT count(*) AS free FROM seat WHERE sku_id = m.sku_id AND order_id IS NULL) AS s,
    LATERAL (SELECT coalesce(sum(on_hand), 0) AS on_sale FROM stock_pool
             WHERE sku_id = m.sku_id AND starts_with(activity_id, 'campaign:')) AS p
WHERE s.free < p.on_sale
LIMIT 1000;
