-- name: lock_orders
-- Lock an order and its children, in the global order.
SELECT order_id, parent_id, buyer_id, shop_id, status, currency, payable_minor, version, pay_deadline
FROM orders WHERE order_id = $1 OR parent_id = $1
ORDER BY order_id FOR UPDATE;

-- name: lock_pay_order
-- Lock what is due for an order; after its orders.
SELECT order_id, status, currency, amount_minor, captured_minor, refunding_minor, refunded_minor, payment_id
FROM pay_order WHERE order_id = $1 AND due_number = 1 FOR UPDATE;

-- name: read_payment
-- One attempt.
SELECT payment_id, order_id, buyer_id, channel, method, status, currency, amount_minor, return_url,
       psp_reference, action, failure_reason
FROM payment_order WHERE payment_id = $1;

-- name: read_order_to_pay
-- An order with what is due for it, for its buyer.
SELECT o.order_id, o.parent_id, o.status, o.currency, o.payable_minor, o.pay_deadline, p.status AS pay_status
FROM orders o LEFT JOIN pay_order p ON p.order_id = o.order_id AND p.due_number = 1
WHERE o.order_id = $1 AND o.buyer_id = $2;

-- name: count_attempts
-- How many attempts an order has.
SELECT count(*) FROM payment_order WHERE order_id = $1;

-- name: insert_payment!
-- A new attempt; taken up at $10 unless the channel has been asked by then.
INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, currency, amount_minor,
                           return_url, created_at, updated_at, poll_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10);

-- name: start_payment<!
-- A new attempt together with its key ($1 to $5), in one statement, where the order can be paid: else must_fit
-- ends it, and a key that is there already does. As everywhere the key comes before the order, and the order
-- before what is due. Attempts that are made at the same moment may pass $12 by one: it bounds them.
WITH keyed AS (
    INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response)
    VALUES ($1, $2, $3, $4, 201, $5) RETURNING digest
), root AS MATERIALIZED (
    SELECT order_id, parent_id, buyer_id, status, pay_deadline FROM orders
    WHERE order_id = $7 AND (SELECT count(*) FROM keyed) >= 0 FOR UPDATE
), due AS MATERIALIZED (
    SELECT p.status, p.currency, p.amount_minor FROM pay_order AS p JOIN root USING (order_id)
    WHERE p.due_number = 1 FOR UPDATE OF p
), fitting AS MATERIALIZED (
    SELECT must_fit(count(*) = 1 AND (SELECT count(*) < $12 FROM payment_order WHERE order_id = $7)) AS fits,
           min(due.currency) AS currency, min(due.amount_minor) AS amount_minor
    FROM root, due
    WHERE root.buyer_id = $3 AND root.parent_id IS NULL AND root.status = 'NOT_PAID' AND due.status = 'UNPAID'
      AND (root.pay_deadline IS NULL OR root.pay_deadline > $10) AND due.amount_minor > 0
)
INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, currency, amount_minor,
                           return_url, created_at, updated_at, poll_at)
SELECT $6, $7, $3, $8, $9, currency, amount_minor, $13, $10, $10, $11 FROM fitting WHERE fits
RETURNING payment_id, status, currency, amount_minor, return_url, action, failure_reason;

-- name: record_opened<!
-- The channel has opened the attempt; if it has already reported more, only the reply's part is new. No row
-- when that was recorded before.
UPDATE payment_order
SET psp_reference = $2, action = $3, updated_at = $4,
    poll_at = CASE status WHEN 'CREATED' THEN $5::timestamptz ELSE poll_at END,
    status = CASE status WHEN 'CREATED' THEN 'PENDING' ELSE status END
WHERE payment_id = $1 AND action IS NULL
RETURNING payment_id, status, action, failure_reason;

-- name: move_payment<!
-- Move an attempt on; no row when it is not in one of the states $3.
UPDATE payment_order
SET status = $2, psp_reference = coalesce($4, psp_reference), failure_reason = $5, updated_at = $6, poll_at = $7,
    poll_count = 0
WHERE payment_id = $1 AND status = ANY($3::text[])
RETURNING payment_id;

-- name: lock_reported
-- Lock what reports about the attempts $1 are about: orders with their children, what is due, the attempts;
-- each by id. Each attempt that is there, with the shares of the order's shops, and whether all of the order's
-- goods are reserved.
WITH family AS MATERIALIZED (
    SELECT order_id, parent_id, shop_id, status, payable_minor FROM orders
    WHERE order_id = ANY(ARRAY(SELECT order_id FROM payment_order WHERE payment_id = ANY($1::bigint[])))
       OR parent_id = ANY(ARRAY(SELECT order_id FROM payment_order WHERE payment_id = ANY($1::bigint[])))
    ORDER BY order_id FOR UPDATE
), due AS MATERIALIZED (
    SELECT order_id, status, amount_minor, payment_id FROM pay_order
    WHERE order_id = ANY(ARRAY(SELECT order_id FROM family)) AND due_number = 1
    ORDER BY order_id FOR UPDATE
), attempt AS MATERIALIZED (
    SELECT payment_id, order_id, buyer_id, channel, status, currency, amount_minor FROM payment_order
    WHERE payment_id = ANY($1::bigint[]) AND (SELECT count(*) FROM due) >= 0
    ORDER BY payment_id FOR UPDATE
)
SELECT a.*, d.status AS pay_status, d.amount_minor AS due_minor, d.payment_id AS counted_id, root.status AS order_status, s.*
FROM attempt AS a JOIN due AS d USING (order_id) JOIN family AS root USING (order_id)
CROSS JOIN LATERAL (
    SELECT array_agg(shop_id ORDER BY order_id) AS shop_ids,
           array_agg(payable_minor ORDER BY order_id) AS shares_minor,
           NOT EXISTS (SELECT FROM order_line AS l
                       WHERE l.order_id = ANY(array_agg(f.order_id)) AND l.reserve_on = 'pay') AS is_reserved
    FROM family AS f WHERE (f.order_id = a.order_id OR f.parent_id = a.order_id) AND shop_id IS NOT NULL) AS s;

-- name: move_reported<!
-- Locked attempts move on, and with them what is due and until when the order waits; $1 is a JSON array of Move.
-- The other attempts of an order that is paid are not wanted any more: their channels are asked about them now,
-- at $2. Leaves how many attempts and how many dues have moved.
WITH told AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS t (payment_id bigint, order_id bigint, was text, status text,
        due_was text, due_status text, psp_reference text, poll_at timestamptz, pay_deadline timestamptz)
), moved AS (
    UPDATE payment_order AS p
    SET status = t.status, psp_reference = coalesce(t.psp_reference, p.psp_reference), failure_reason = NULL,
        updated_at = $2, poll_at = t.poll_at, poll_count = 0
    FROM told AS t WHERE p.payment_id = t.payment_id AND p.status = t.was RETURNING p.payment_id
), due AS (
    UPDATE pay_order AS d
    SET status = t.due_status, payment_id = t.payment_id,
        captured_minor = CASE t.due_status WHEN 'PAID' THEN d.amount_minor ELSE 0 END
    FROM told AS t WHERE d.order_id = t.order_id AND d.due_number = 1 AND d.status = t.due_was
    RETURNING d.order_id
), waiting AS (
    UPDATE orders AS o SET pay_deadline = t.pay_deadline
    FROM told AS t WHERE o.order_id = t.order_id AND t.pay_deadline IS NOT NULL AND o.status = 'NOT_PAID'
), unwanted AS (
    UPDATE payment_order AS p SET poll_at = $2, poll_count = 0
    FROM told AS t WHERE p.order_id = t.order_id AND p.payment_id <> t.payment_id AND t.due_status = 'PAID'
      AND p.status IN ('CREATED', 'PENDING', 'AUTHORIZED', 'FAILED')
)
SELECT (SELECT count(*) FROM moved) AS attempts, (SELECT count(*) FROM due) AS dues;

-- name: move_pay_order<!
-- Move what is due on; no row when it is not in one of the states $3.
UPDATE pay_order
SET status = $2, payment_id = $4, captured_minor = CASE WHEN $2 = 'PAID' THEN amount_minor ELSE 0 END
WHERE order_id = $1 AND due_number = 1 AND status = ANY($3::text[])
RETURNING order_id;

-- name: set_deadline!
-- An order that waits for its money closes at $2.
UPDATE orders SET pay_deadline = $2 WHERE order_id = $1 AND status = 'NOT_PAID';

-- name: accept_orders<!
-- Paid: a parent (it has no shop) becomes INVALID and its children go on; an order of one shop goes on itself,
-- a group order waits for its group.
UPDATE orders
SET status = CASE WHEN shop_id IS NULL THEN 'INVALID' WHEN mode = 'group' THEN 'PENDING_GROUP'
                  ELSE 'PENDING_SHIPMENT' END,
    paid_at = $2, version = version + 1
WHERE (order_id = ANY($1::bigint[]) OR parent_id = ANY($1::bigint[])) AND status = 'NOT_PAID'
RETURNING order_id, parent_id, shop_id, status, version, currency, payable_minor;

-- name: confirm_stock<!
-- The orders' goods leave the stock: reserved ones out of the reservation, others (reserved when paid) out of
-- what is free. The pools are locked by id; a CHECK refuses what is not there. Returned: pools with less free.
WITH line AS (
    SELECT order_id, pool_id, sum(quantity)::bigint AS quantity,
           coalesce(sum(quantity) FILTER (WHERE reserve_on = 'place'), 0)::bigint AS reserved
    FROM order_line WHERE order_id = ANY($1::bigint[]) AND reserve_on <> 'never' GROUP BY order_id, pool_id
), wanted AS (
    SELECT pool_id, sum(quantity)::bigint AS quantity, sum(reserved)::bigint AS reserved FROM line GROUP BY pool_id
), locked AS (
    SELECT p.pool_id FROM stock_pool p JOIN wanted USING (pool_id) ORDER BY p.pool_id FOR UPDATE OF p
), changed AS (
    UPDATE stock_pool p
    SET on_hand = p.on_hand - w.quantity, reserved = p.reserved - w.reserved, version = p.version + 1
    FROM wanted w JOIN locked USING (pool_id) WHERE p.pool_id = w.pool_id
    RETURNING p.pool_id, p.version, w.quantity <> w.reserved AS was_free,
              CASE WHEN p.closed THEN 0 ELSE p.on_hand - p.reserved END AS free
), moved AS (
    INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
    SELECT pool_id, 'confirm', -quantity, -reserved, order_id FROM line
)
SELECT DISTINCT o.shop_id, c.pool_id, c.free, c.version
FROM changed c JOIN line USING (pool_id) JOIN orders o USING (order_id) WHERE c.was_free;

-- name: post_entries!
-- Postings, an entry a row; each posted once, however often it is told.
INSERT INTO ledger_entry (posting_kind, posting_id, currency, order_id, account, amount_minor)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[]);

-- name: clear_cart!
-- The order's SKUs leave the buyer's cart.
DELETE FROM cart_entry
WHERE buyer_id = $2 AND sku_id IN (
    SELECT l.sku_id FROM order_line l JOIN orders o ON o.order_id = l.order_id
    WHERE (o.order_id = $1 OR o.parent_id = $1) AND o.buyer_id = $2);

-- name: ask_soon!
-- The channel is asked about these orders' open attempts at $2. One that is locked is being told about just now.
UPDATE payment_order SET poll_at = $2, poll_count = 0
WHERE payment_id IN (
    SELECT payment_id FROM payment_order
    WHERE order_id = ANY($1::bigint[]) AND status IN ('CREATED', 'PENDING', 'AUTHORIZED', 'FAILED')
    FOR UPDATE SKIP LOCKED);

-- name: ask_others_soon!
-- The same, but for the attempt that has just paid: the others are not wanted any more.
UPDATE payment_order SET poll_at = $3, poll_count = 0
WHERE order_id = $1 AND payment_id <> $2 AND status IN ('CREATED', 'PENDING', 'AUTHORIZED', 'FAILED');

-- name: take_due_payments<!
-- Take attempts that are due; another process finds them again only after a wait that doubles, $3 to $4.
UPDATE payment_order
SET poll_at = $1 + make_interval(secs => least($3 * power(2, least(poll_count, 20)), $4)), poll_count = poll_count + 1
WHERE payment_id IN (SELECT payment_id FROM payment_order WHERE poll_at <= $1
                     ORDER BY poll_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING payment_id;

-- name: read_attempts
-- Attempts with the state of their order, for deciding what to ask the channel.
SELECT a.payment_id, a.order_id, a.channel, a.method, a.status, a.currency, a.amount_minor, a.return_url,
       o.status AS order_status, p.status AS pay_status, p.payment_id AS counted_id, p.amount_minor AS due_minor
FROM payment_order a
JOIN orders o ON o.order_id = a.order_id
JOIN pay_order p ON p.order_id = a.order_id AND p.due_number = a.due_number
WHERE a.payment_id = ANY($1::bigint[]);

-- name: read_open_attempts
-- The attempts of these orders that could still bring money.
SELECT payment_id, order_id, channel, status FROM payment_order
WHERE order_id = ANY($1::bigint[]) AND status IN ('CREATED', 'PENDING', 'AUTHORIZED', 'FAILED')
ORDER BY payment_id;

-- name: read_not_due
-- Which of these orders are not to be closed unpaid at $2.
SELECT order_id FROM orders
WHERE order_id = ANY($1::bigint[]) AND (status <> 'NOT_PAID' OR pay_deadline > $2);
