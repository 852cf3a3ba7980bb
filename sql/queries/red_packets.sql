-- name: upsert_pool!
-- Create a pool, or change its name and what its packets pay.
INSERT INTO red_packet_pool (pool_id, shop_id, name, currency, pays_charges) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (pool_id) DO UPDATE SET name = excluded.name, pays_charges = excluded.pays_charges
    WHERE (red_packet_pool.name, red_packet_pool.pays_charges) <> (excluded.name, excluded.pays_charges);

-- name: read_pool
-- One pool with what is in it.
SELECT p.pool_id, p.name, p.currency, p.shop_id, coalesce(b.amount, 0) AS balance_minor, p.pays_charges
FROM red_packet_pool AS p
LEFT JOIN balance AS b ON b.account = 'red_packet_pool:' || p.pool_id AND b.currency = p.currency
WHERE p.pool_id = $1;

-- name: add_packets!
-- Packets of one amount, a buyer each.
INSERT INTO red_packet (packet_id, buyer_id, pool_id, amount_minor, min_amount_minor, expires_at, created_at,
    pays_charges)
SELECT packet_id, buyer_id, $3, $4, $5, $6, $7, $8 FROM unnest($1::bigint[], $2::text[]) AS p (packet_id, buyer_id);

-- name: list_packets
-- A buyer's packets, the newest first, from a cursor on; `expired` is what time has made of an available one.
SELECT k.packet_id::text, p.name, p.shop_id, p.currency, k.amount_minor, k.min_amount_minor, k.expires_at,
    CASE WHEN k.status = 'available' AND k.expires_at <= $2 THEN 'expired' ELSE k.status END AS status, k.pays_charges
FROM red_packet AS k JOIN red_packet_pool AS p USING (pool_id)
WHERE k.buyer_id = $1 AND k.packet_id < $3 ORDER BY k.packet_id DESC LIMIT $4;

-- name: packets_by_id
-- The packets that carts name.
SELECT k.packet_id, k.buyer_id, p.name, p.shop_id, p.currency, k.amount_minor, k.min_amount_minor, k.status,
    k.expires_at, k.pays_charges
FROM red_packet AS k JOIN red_packet_pool AS p USING (pool_id) WHERE k.packet_id = ANY($1::bigint[]);

-- name: due_packets
-- Packets whose time is over, oldest first.
SELECT k.packet_id, k.pool_id, p.currency FROM red_packet AS k JOIN red_packet_pool AS p USING (pool_id)
WHERE k.status = 'available' AND k.expires_at <= $1 ORDER BY k.expires_at, k.packet_id LIMIT $2;

-- name: expire_packets<!
-- Of these, the ones that nobody has taken; under the locks of their balances.
UPDATE red_packet AS k SET status = 'expired' FROM red_packet_pool AS p
WHERE k.packet_id = ANY($1::bigint[]) AND k.status = ANY($2::text[]) AND p.pool_id = k.pool_id
RETURNING k.packet_id, k.pool_id, k.amount_minor, p.currency;

-- name: lock_packets_to_orders!
-- Each packet waits for its order to be paid; under the locks of their balances.
UPDATE red_packet SET status = 'locked', order_id = taken_by
FROM unnest($1::bigint[], $2::bigint[]) AS t (id, taken_by) WHERE packet_id = id AND status = ANY($3::text[]);

-- name: packets_of_orders
-- The packets that these orders (roots) hold, with their pools.
SELECT k.packet_id, k.pool_id, k.order_id, p.currency FROM red_packet AS k JOIN red_packet_pool AS p USING (pool_id)
WHERE k.order_id = ANY($1::bigint[]);

-- name: use_packets!
-- The orders are paid: their packets are spent.
UPDATE red_packet SET status = 'used' WHERE order_id = ANY($1::bigint[]) AND status = ANY($2::text[]);

-- name: return_packets!
-- The orders are canceled: their packets can be used again.
UPDATE red_packet SET status = 'available', order_id = NULL
WHERE order_id = ANY($1::bigint[]) AND status = ANY($2::text[]);
