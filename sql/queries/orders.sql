-- name: move_orders<!
-- Move orders on: only those in one of the states $3; a version each.
UPDATE orders
SET status = $2, version = version + 1,
    closed_at = CASE WHEN $2 IN ('CANCELED', 'CLOSED') THEN $4::timestamptz ELSE closed_at END,
    close_reason = coalesce($5, close_reason)
WHERE order_id = ANY($1::bigint[]) AND status = ANY($3::text[])
RETURNING order_id, parent_id, buyer_id, shop_id, version;

-- name: lock_unpaid_families
-- Lock these roots and their children, in the global order; those that are paid or gone are left out.
SELECT order_id, parent_id FROM orders
WHERE (order_id = ANY($1::bigint[]) OR parent_id = ANY($1::bigint[])) AND status = 'NOT_PAID'
ORDER BY order_id FOR UPDATE;

-- name: due_orders
-- Unpaid orders whose time is over, oldest first; $3: those with something open at a channel, or those without.
SELECT o.order_id FROM orders AS o
WHERE o.status = 'NOT_PAID' AND o.pay_deadline <= $1
  AND $3 = EXISTS (SELECT FROM payment_order AS p WHERE p.order_id = o.order_id)
ORDER BY o.pay_deadline LIMIT $2;

-- name: lock_due_orders
-- Of these, the ones that are still due and that nobody else works on, locked.
SELECT order_id FROM orders
WHERE order_id = ANY($1::bigint[]) AND status = 'NOT_PAID' AND pay_deadline <= $2
ORDER BY order_id FOR UPDATE SKIP LOCKED;

-- name: close_pay_orders!
-- Nothing is due any more; under the locks of their orders.
UPDATE pay_order SET status = 'CLOSED' WHERE order_id = ANY($1::bigint[]) AND status = ANY($2::text[]);

-- name: reserved_by_orders
-- What these orders hold reserved, per order and pool.
SELECT o.order_id, o.shop_id, l.pool_id, l.sku_id, sum(l.quantity)::bigint AS quantity
FROM orders AS o JOIN order_line AS l USING (order_id)
WHERE o.order_id = ANY($1::bigint[]) AND l.reserve_on = 'place'
GROUP BY o.order_id, o.shop_id, l.pool_id, l.sku_id ORDER BY o.order_id, l.pool_id;

-- name: lock_pools
-- Lock these pools, and for an activity's the normal pool that takes over what comes back after its end.
SELECT pool_id, sku_id, activity_id, closed FROM stock_pool
WHERE pool_id IN (
    SELECT unnest($1::bigint[])
    UNION
    SELECT normal.pool_id FROM stock_pool AS special JOIN stock_pool AS normal USING (sku_id)
    WHERE special.pool_id = ANY($1::bigint[]) AND special.activity_id <> '0' AND normal.activity_id = '0')
ORDER BY pool_id FOR UPDATE;

-- name: change_pools<!
-- Change locked pools by these amounts.
UPDATE stock_pool AS p
SET on_hand = p.on_hand + c.on_hand, reserved = p.reserved + c.reserved, version = p.version + 1
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS c (pool_id, on_hand, reserved)
WHERE p.pool_id = c.pool_id
RETURNING p.pool_id, CASE WHEN p.closed THEN 0 ELSE p.on_hand - p.reserved END AS free, p.version;

-- name: insert_movements!
-- What changed the pools, and for which order.
INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]);

-- name: read_order
-- One order, with the attempts to pay its root, and the root's refunds: of a child those with lines of it;
-- and what sellers have changed.
SELECT o.*, p.status = 'INVALID' AS parent_paid,
    (SELECT coalesce(json_agg(json_build_object(
         'payment_id', payment_id::text, 'channel', channel, 'method', method, 'status', status,
         'currency', currency, 'amount_minor', amount_minor, 'failure_reason', failure_reason,
         'created_at', created_at) ORDER BY payment_id), '[]')
     FROM payment_order WHERE order_id = coalesce(o.parent_id, o.order_id)) AS payments,
    (SELECT coalesce(json_agg(json_build_object(
         'refund_id', r.refund_id::text, 'payment_id', r.payment_id::text, 'cause', r.cause,
         'status', r.status, 'currency', r.currency, 'amount_minor', r.amount_minor, 'reason', r.reason,
         'created_at', r.created_at) ORDER BY r.refund_id), '[]')
     FROM refund AS r
     WHERE r.order_id = coalesce(o.parent_id, o.order_id) AND (o.parent_id IS NULL OR EXISTS (
         SELECT FROM refund_line AS l WHERE l.refund_id = r.refund_id AND l.order_id = o.order_id))) AS refunds,
    (SELECT coalesce(json_agg(json_build_object(
         'change_id', c.change_id::text, 'order_id', c.order_id::text, 'before_minor', c.before_minor,
         'after_minor', c.after_minor, 'payable_before_minor', c.payable_before_minor, 'reason', c.reason,
         'changed_by', c.changed_by, 'created_at', c.created_at) ORDER BY c.change_id), '[]')
     FROM price_change AS c WHERE c.order_id = ANY(ARRAY(
         SELECT o.order_id UNION ALL SELECT part.order_id FROM orders AS part WHERE part.parent_id = o.order_id))
    ) AS price_changes
FROM orders AS o LEFT JOIN orders AS p ON p.order_id = o.parent_id WHERE o.order_id = $1;

-- name: read_children
-- The orders that one was split into.
SELECT * FROM orders WHERE parent_id = $1 ORDER BY order_id;

-- name: read_lines
-- The lines of these orders, of a show with their seats.
SELECT l.*,
    (SELECT coalesce(json_agg(json_build_object('row', s.row_name, 'number', s.number) ORDER BY s.rank, s.position), '[]')
     FROM seat AS s WHERE (s.order_id, s.line_id) = (l.order_id, l.line_id)) AS seats
FROM order_line AS l WHERE order_id = ANY($1::bigint[]) ORDER BY order_id, line_id;

-- name: list_buyer_orders
-- A buyer's orders, newest first: what was placed, until it is paid; then the orders it was split into. A group
-- order is one of them once its group has succeeded.
SELECT o.*,
    (SELECT coalesce(json_agg(json_build_object(
         'line_id', l.line_id::text, 'sku_id', l.sku_id, 'title', l.title, 'quantity', l.quantity,
         'payable_minor', l.payable_minor) ORDER BY l.order_id, l.line_id), '[]')
     FROM order_line AS l WHERE l.order_id = ANY(ARRAY(
         SELECT o.order_id UNION ALL SELECT c.order_id FROM orders AS c WHERE c.parent_id = o.order_id))) AS lines
FROM orders AS o LEFT JOIN orders AS p ON p.order_id = o.parent_id
WHERE o.buyer_id = $1 AND o.order_id < $3 AND (o.mode <> 'group' OR o.out_id IS NOT NULL) AND ($2::text[] IS NULL OR o.status = ANY($2::text[]))
  AND CASE WHEN o.parent_id IS NULL THEN o.status <> 'INVALID' ELSE p.status = 'INVALID' END
ORDER BY o.order_id DESC LIMIT $4;

-- name: list_orders
-- Orders for those who work on them, newest first; parents have no shop and are not listed.
SELECT o.*,
    (SELECT coalesce(json_agg(json_build_object(
         'line_id', l.line_id::text, 'sku_id', l.sku_id, 'title', l.title, 'quantity', l.quantity,
         'payable_minor', l.payable_minor) ORDER BY l.order_id, l.line_id), '[]')
     FROM order_line AS l WHERE l.order_id = o.order_id) AS lines
FROM orders AS o
WHERE shop_id IS NOT NULL AND order_id < $1
  AND ($2::text IS NULL OR shop_id = $2)
  AND ($3::text IS NULL OR buyer_id = $3)
  AND ($4::text[] IS NULL OR status = ANY($4::text[]))
ORDER BY order_id DESC LIMIT $5;

-- name: read_status
-- Where an order is.
SELECT status FROM orders WHERE order_id = $1;

-- name: lock_order
-- Lock one order.
SELECT order_id, buyer_id, shop_id, status FROM orders WHERE order_id = $1 FOR UPDATE;
