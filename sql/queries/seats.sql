-- name: lock_item_of_sku
-- Whose the SKU is; its item's maps are replaced one at a time.
SELECT item.shop_id, item.item_id FROM item JOIN sku USING (item_id) WHERE sku_id = $1
FOR NO KEY UPDATE OF item;

-- name: read_item_of_sku
-- Whose the SKU is.
SELECT item.shop_id FROM item JOIN sku USING (item_id) WHERE sku_id = $1;

-- name: lock_pools!
-- Nothing of the SKU is put on sale, sold or given back meanwhile.
SELECT pool_id FROM stock_pool WHERE sku_id = $1 ORDER BY pool_id FOR UPDATE;

-- name: lock_maps
-- The maps of those of these SKUs that are seated, locked: the last in the global order, after stock.
SELECT sku_id FROM seat_map WHERE sku_id = ANY($1::text[]) ORDER BY sku_id FOR UPDATE;

-- name: lock_maps_of_orders
-- The same of what these orders have bought.
SELECT sku_id FROM seat_map WHERE sku_id IN (SELECT sku_id FROM order_line WHERE order_id = ANY($1::bigint[]))
ORDER BY sku_id FOR UPDATE;

-- name: put_map!
-- The SKU is seated.
INSERT INTO seat_map (sku_id, session) VALUES ($1, $2)
ON CONFLICT (sku_id) DO UPDATE SET session = excluded.session;

-- name: delete_map!
-- The SKU is not seated any more.
DELETE FROM seat_map WHERE sku_id = $1;

-- name: given_seats_not_among
-- Seats that somebody has and that a new map would not have: its rows and numbers are $2 and $3.
SELECT row_name, number FROM seat
WHERE sku_id = $1 AND order_id IS NOT NULL
    AND (row_name, number) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
ORDER BY rank, position;

-- name: seats_of_other_maps
-- Seats of a new map that another SKU of item $2 has for the same session.
SELECT s.sku_id, s.row_name, s.number
FROM sku JOIN seat_map AS m USING (sku_id) JOIN seat AS s USING (sku_id)
JOIN unnest($4::text[], $5::text[]) AS wanted (row_name, number) USING (row_name, number)
WHERE s.sku_id <> $1 AND sku.item_id = $2 AND m.session = $3
ORDER BY s.sku_id, s.rank, s.position;

-- name: delete_free_seats!
-- Before a map is replaced: those that nobody has.
DELETE FROM seat WHERE sku_id = $1 AND order_id IS NULL;

-- name: put_seats!
-- The seats of a new map; those that somebody has stay theirs.
INSERT INTO seat (sku_id, row_name, number, rank, position)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::integer[], $5::integer[])
ON CONFLICT (sku_id, row_name, number) DO UPDATE SET rank = excluded.rank, position = excluded.position;

-- name: short_maps
-- Of these SKUs the seated ones with fewer free seats than what campaigns may still sell.
SELECT m.sku_id, s.free, p.on_sale
FROM seat_map AS m,
    LATERAL (SELECT count(*) AS free FROM seat WHERE sku_id = m.sku_id AND order_id IS NULL) AS s,
    LATERAL (SELECT coalesce(sum(on_hand), 0)::bigint AS on_sale FROM stock_pool
             WHERE sku_id = m.sku_id AND starts_with(activity_id, 'campaign:')) AS p
WHERE m.sku_id = ANY($1::text[]) AND s.free < p.on_sale ORDER BY m.sku_id;

-- name: claims
-- Who of these orders waits for seats, group by group.
SELECT sku_id, group_id, order_id, line_id, seats::integer AS seats
FROM seat_claim AS c JOIN seat_map USING (sku_id)
WHERE order_id = ANY($1::bigint[]) AND seats > 0
    AND NOT EXISTS (SELECT FROM seat AS s WHERE s.order_id = c.order_id AND s.line_id = c.line_id)
ORDER BY sku_id, group_id, slot, line_id;

-- name: orders_of_sku
-- Orders of a SKU whose group has succeeded.
SELECT order_id FROM group_order JOIN campaign_item USING (campaign_item_id)
WHERE sku_id = $1 AND status = 'SUCCEEDED' ORDER BY order_id;

-- name: free_runs
-- Free seats side by side.
SELECT sku_id, rank, min(position) AS start, count(*)::integer AS length
FROM (SELECT sku_id, rank, position,
          position - row_number() OVER (PARTITION BY sku_id, rank ORDER BY position) AS run
      FROM seat WHERE sku_id = ANY($1::text[]) AND order_id IS NULL) AS free
GROUP BY sku_id, rank, run ORDER BY sku_id, rank, start;

-- name: give<!
-- These seats, from a position on so many, are these lines' now.
UPDATE seat AS s SET order_id = g.order_id, line_id = g.line_id
FROM unnest($1::text[], $2::integer[], $3::integer[], $4::integer[], $5::bigint[], $6::bigint[])
    AS g (sku_id, rank, start, length, order_id, line_id)
WHERE s.sku_id = g.sku_id AND s.rank = g.rank AND s.position >= g.start AND s.position < g.start + g.length
    AND s.order_id IS NULL
RETURNING s.line_id;

-- name: seats_of_orders
-- The seats that these orders have, the best first.
SELECT order_id, row_name, number FROM seat WHERE order_id = ANY($1::bigint[])
ORDER BY order_id, line_id, rank, position;

-- name: return_seats!
-- Seats come back with their goods: of each line as many as refund $1 takes of orders not shipped ($2), the worst
-- first; of closed orders ($3) all.
WITH locked AS (
    SELECT sku_id FROM seat_map WHERE sku_id IN (
        SELECT sku_id FROM order_line WHERE order_id = ANY($2::bigint[]) OR order_id = ANY($3::bigint[]))
    ORDER BY sku_id FOR UPDATE
), held AS (
    SELECT sku_id, row_name, number, order_id, line_id,
        row_number() OVER (PARTITION BY order_id, line_id ORDER BY rank DESC, position DESC) AS nth
    FROM seat JOIN locked USING (sku_id) WHERE order_id = ANY($2::bigint[]) OR order_id = ANY($3::bigint[])
)
UPDATE seat AS s SET order_id = NULL, line_id = NULL
FROM held AS h LEFT JOIN refund_line AS p ON p.refund_id = $1 AND (p.order_id, p.line_id) = (h.order_id, h.line_id)
WHERE (s.sku_id, s.row_name, s.number) = (h.sku_id, h.row_name, h.number)
    AND (h.order_id = ANY($3::bigint[]) OR h.nth <= p.quantity);

-- name: read_map
-- The session that a SKU is for.
SELECT session FROM seat_map WHERE sku_id = $1;

-- name: read_rows
-- A map row by row, the best first: its seats by position, and the orders that have them.
SELECT rank, row_name, array_agg(position ORDER BY position) AS positions, array_agg(number ORDER BY position) AS numbers,
    array_agg(order_id ORDER BY position) AS order_ids
FROM seat WHERE sku_id = $1 GROUP BY rank, row_name ORDER BY rank;
