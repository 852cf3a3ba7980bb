-- name: lock_orders
-- Lock an order, its parent and its siblings or children, in the global order.
WITH root AS (SELECT coalesce(parent_id, order_id) AS order_id FROM orders WHERE order_id = $1)
SELECT o.order_id, o.parent_id, o.buyer_id, o.shop_id, o.status, o.version, o.currency, o.points_earned
FROM orders o, root WHERE o.order_id = root.order_id OR o.parent_id = root.order_id
ORDER BY o.order_id FOR UPDATE OF o;

-- name: lock_pay_order
-- Lock what was paid for an order; after its orders.
SELECT order_id, status, currency, amount_minor, captured_minor, refunding_minor, refunded_minor, payment_id
FROM pay_order WHERE order_id = $1 AND due_number = 1 FOR UPDATE;

-- name: read_lines
-- The lines of orders with what has been asked back of each.
SELECT order_id, line_id, quantity, refunded_quantity, payable_minor, refunded_minor
FROM order_line WHERE order_id = ANY($1::bigint[]) ORDER BY order_id, line_id;

-- name: take_from_lines!
-- Count what is asked back, line by line; CHECKs refuse more than was bought.
UPDATE order_line l
SET refunded_quantity = l.refunded_quantity + p.quantity, refunded_minor = l.refunded_minor + p.amount_minor
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) AS p (order_id, line_id, quantity, amount_minor)
WHERE l.order_id = p.order_id AND l.line_id = p.line_id;

-- name: insert_refund!
-- Money of a paid order that goes back.
INSERT INTO refund (refund_id, order_id, payment_id, buyer_id, cause, currency, amount_minor, reason,
                    created_at, updated_at, send_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $9);

-- name: insert_refund_lines!
-- Which lines it is for.
INSERT INTO refund_line (refund_id, order_id, line_id, quantity, amount_minor)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bigint[]);

-- name: reserve_refund!
-- Count it as asked back; a CHECK refuses more than was captured.
UPDATE pay_order SET refunding_minor = refunding_minor + $2 WHERE order_id = $1 AND due_number = 1;

-- name: insert_uncounted_refund<!
-- Money that never counted goes back whole, once.
INSERT INTO refund (refund_id, order_id, payment_id, buyer_id, cause, currency, amount_minor,
                    created_at, updated_at, send_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8)
ON CONFLICT (payment_id) WHERE cause IN ('late_payment', 'double_payment', 'wrong_amount') DO NOTHING
RETURNING refund_id;

-- name: take_due_refunds<!
-- Take refunds that are due; another process finds them again only after a wait that doubles, $3 to $4.
UPDATE refund
SET send_at = $1 + make_interval(secs => least($3 * power(2, least(tries, 20)), $4)), tries = tries + 1
WHERE refund_id IN (SELECT refund_id FROM refund WHERE send_at <= $1
                    ORDER BY send_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING refund_id, payment_id, status, currency, amount_minor, attempt,
    (SELECT channel FROM payment_order p WHERE p.payment_id = refund.payment_id) AS channel;

-- name: take_refund<!
-- The same for one refund, if it is due.
UPDATE refund
SET send_at = $1 + make_interval(secs => least($3 * power(2, least(tries, 20)), $4)), tries = tries + 1
WHERE refund_id = (SELECT refund_id FROM refund WHERE refund_id = $2 AND send_at <= $1 FOR UPDATE SKIP LOCKED)
RETURNING refund_id, payment_id, status, currency, amount_minor, attempt,
    (SELECT channel FROM payment_order p WHERE p.payment_id = refund.payment_id) AS channel;

-- name: read_channel
-- Through which channel a payment came.
SELECT channel FROM payment_order WHERE payment_id = $1;

-- name: begin_attempt<!
-- The channel refused it: it is asked for under a new reference, number $2.
UPDATE refund SET status = 'REQUESTED', attempt = $2, tries = 1, failure_reason = NULL
WHERE refund_id = $1 AND attempt = $2 - 1 AND status = 'FAILED'
RETURNING refund_id;

-- name: record_sent!
-- The channel has taken it; asked about at $4 if nothing is reported.
UPDATE refund SET status = 'SENT', psp_reference = $3, send_at = $4, tries = 0, updated_at = $5
WHERE refund_id = $1 AND attempt = $2 AND status = 'REQUESTED';

-- name: read_refund
-- One refund.
SELECT refund_id, order_id, status, amount_minor FROM refund WHERE refund_id = $1;

-- name: lock_refund
-- Lock one refund; after its orders.
SELECT refund_id, order_id, payment_id, cause, status, currency, amount_minor, attempt
FROM refund WHERE refund_id = $1 FOR UPDATE;

-- name: move_refund<!
-- Move a refund on; no row when it is not in one of the states $3.
UPDATE refund
SET status = $2, psp_reference = coalesce($4, psp_reference), failure_reason = $5, updated_at = $6, send_at = $7, tries = 0
WHERE refund_id = $1 AND status = ANY($3::text[])
RETURNING refund_id;

-- name: settle_pay_order<!
-- It has gone back. What was paid without money is refunded when all that was taken instead is back.
UPDATE pay_order
SET refunding_minor = refunding_minor - $2, refunded_minor = refunded_minor + $2,
    status = CASE WHEN amount_minor = 0 AND EXISTS (
                       SELECT FROM order_deduction AS d
                       WHERE d.root_id = $1 AND (d.returned < d.amount OR d.returned_minor < d.amount_minor))
                  THEN status
                  WHEN refunded_minor + $2 = amount_minor THEN 'REFUNDED'
                  WHEN refunded_minor + $2 > 0 THEN 'PART_REFUNDED' ELSE status END
WHERE order_id = $1 AND due_number = 1
RETURNING status;

-- name: read_refunded_shares
-- Which shop gives how much of a refund.
SELECT o.shop_id, sum(l.amount_minor)::bigint AS amount_minor
FROM refund_line l JOIN orders o ON o.order_id = l.order_id
WHERE l.refund_id = $1 GROUP BY o.shop_id ORDER BY o.shop_id;

-- name: close_refunded_orders<!
-- Orders of a refund, not shipped yet (or of a group that did not come about), of which everything has gone back.
UPDATE orders o
SET status = 'CLOSED', closed_at = $2, close_reason = 'refunded', version = o.version + 1
WHERE o.status IN ('PENDING_GROUP', 'PENDING_SHIPMENT')
  AND o.order_id IN (SELECT order_id FROM refund_line WHERE refund_id = $1)
  AND o.payable_minor = (SELECT sum(l.amount_minor) FROM refund_line l JOIN refund r USING (refund_id)
                         WHERE l.order_id = o.order_id AND r.status = 'SUCCEEDED')
  AND NOT EXISTS (SELECT FROM order_deduction d
                  WHERE d.order_id = o.order_id AND (d.returned < d.amount OR d.returned_minor < d.amount_minor))
RETURNING o.order_id, o.parent_id, o.version;

-- name: return_stock<!
-- Goods that will not be shipped come back: the units of refund $1 in orders not shipped ($2), and in closed
-- orders ($3) all that had not come back before. An ended activity's go to the SKU's normal pool.
WITH part AS (
    SELECT order_id, line_id, quantity FROM refund_line WHERE refund_id = $1 AND order_id = ANY($2::bigint[])
    UNION ALL
    SELECT l.order_id, l.line_id, l.quantity - coalesce((
        SELECT sum(p.quantity) FROM refund_line p JOIN refund r USING (refund_id)
        WHERE p.order_id = l.order_id AND p.line_id = l.line_id AND r.status = 'SUCCEEDED'), 0)
    FROM order_line l WHERE l.order_id = ANY($3::bigint[])
), line AS (
    SELECT p.order_id, target.pool_id, sum(p.quantity)::bigint AS quantity
    FROM part p
    JOIN order_line l ON l.order_id = p.order_id AND l.line_id = p.line_id
    JOIN stock_pool own ON own.pool_id = l.pool_id
    JOIN stock_pool target ON target.sku_id = own.sku_id
     AND target.activity_id = CASE WHEN own.closed THEN '0' ELSE own.activity_id END
    WHERE p.quantity > 0 AND l.reserve_on <> 'never' GROUP BY p.order_id, target.pool_id
), wanted AS (
    SELECT pool_id, sum(quantity)::bigint AS quantity FROM line GROUP BY pool_id
), locked AS (
    SELECT p.pool_id FROM stock_pool p JOIN wanted USING (pool_id) ORDER BY p.pool_id FOR UPDATE OF p
), changed AS (
    UPDATE stock_pool p SET on_hand = p.on_hand + w.quantity, version = p.version + 1
    FROM wanted w JOIN locked USING (pool_id) WHERE p.pool_id = w.pool_id
    RETURNING p.pool_id, p.version, CASE WHEN p.closed THEN 0 ELSE p.on_hand - p.reserved END AS free
), moved AS (
    INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
    SELECT pool_id, 'return', quantity, 0, order_id FROM line
)
SELECT DISTINCT o.shop_id, c.pool_id, c.free, c.version
FROM changed c JOIN line USING (pool_id) JOIN orders o USING (order_id);
