-- name: upsert_points_rules<!
-- Set the rules; no row when nothing is different.
INSERT INTO points_rules (document, version) VALUES ($1, $2)
ON CONFLICT (only_one) DO UPDATE SET document = excluded.document, version = excluded.version
    WHERE points_rules.document IS DISTINCT FROM excluded.document
RETURNING version;

-- name: read_points_rules
-- The rules, if an operator has set any.
SELECT document FROM points_rules;

-- name: add_lots!
-- Points came in: a lot each, with what is left of it after what was owed.
INSERT INTO points_lot (lot_id, buyer_id, points, remaining, expires_at, created_at)
SELECT *, $6 FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[]);

-- name: read_lots
-- What is left of buyers' points, under the locks of their balances.
SELECT buyer_id, lot_id, remaining, expires_at FROM points_lot
WHERE buyer_id = ANY($1::text[]) AND remaining > 0 ORDER BY buyer_id, expires_at, lot_id;

-- name: change_lots!
-- Lots give or get back these points.
UPDATE points_lot AS l SET remaining = remaining + c.change
FROM (SELECT lot_id, sum(change)::bigint AS change FROM unnest($1::bigint[], $2::bigint[]) AS c (lot_id, change)
      GROUP BY lot_id) AS c
WHERE l.lot_id = c.lot_id;

-- name: due_lots
-- Lots that have ended with something left, oldest first; taken by one worker at a time.
SELECT lot_id, buyer_id FROM points_lot WHERE remaining > 0 AND expires_at <= $1
ORDER BY expires_at, lot_id LIMIT $2;

-- name: end_lots<!
-- Empty these lots; under the locks of their buyers' balances.
UPDATE points_lot AS l SET remaining = 0 FROM points_lot AS before
WHERE l.lot_id = ANY($1::bigint[]) AND l.remaining > 0 AND before.lot_id = l.lot_id
RETURNING l.lot_id, l.buyer_id, before.remaining AS points;

-- name: usable_points
-- How many points each buyer can spend at a time.
SELECT buyer_id, sum(remaining)::bigint AS points FROM points_lot
WHERE buyer_id = ANY($1::text[]) AND remaining > 0 AND expires_at > $2 GROUP BY buyer_id;

-- name: read_frozen
-- The points that a buyer's unpaid orders hold.
SELECT coalesce(sum(d.amount), 0)::bigint AS points
FROM order_deduction AS d JOIN orders AS o ON o.order_id = d.root_id
WHERE d.account = $1 AND o.status = 'NOT_PAID' AND o.buyer_id = $2;

-- name: ending_lots
-- A buyer's next points to end.
SELECT sum(remaining)::bigint AS points, expires_at FROM points_lot
WHERE buyer_id = $1 AND remaining > 0 AND expires_at > $2 AND expires_at < '9999-01-01'
GROUP BY expires_at ORDER BY expires_at LIMIT $3;

-- name: add_lot_uses!
-- From which lots orders' points came.
INSERT INTO points_lot_use (root_id, lot_id, points)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]);

-- name: read_lot_uses
-- From which lots orders' points came, and what of them is back; what ends last is filled first.
SELECT u.root_id, u.lot_id, u.points, u.returned FROM points_lot_use AS u JOIN points_lot AS l USING (lot_id)
WHERE u.root_id = ANY($1::bigint[]) ORDER BY u.root_id, l.expires_at DESC, u.lot_id DESC;

-- name: return_lot_uses!
-- So many points of orders are back in their lots.
UPDATE points_lot_use AS u SET returned = u.returned + r.points
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS r (root_id, lot_id, points)
WHERE (u.root_id, u.lot_id) = (r.root_id, r.lot_id);

-- name: keep_lots_open!
-- Points have come back to these lots: they are good until $2 at least.
UPDATE points_lot SET expires_at = $2 WHERE lot_id = ANY($1::bigint[]) AND expires_at < $2;
