-- name: lock_family
-- Lock an order, its parent and its siblings or children, in the global order.
WITH root AS (SELECT coalesce(parent_id, order_id) AS order_id FROM orders WHERE order_id = $1)
SELECT o.order_id, o.parent_id, o.shop_id, o.status, o.mode, o.currency, o.payable_minor
FROM orders AS o, root WHERE o.order_id = root.order_id OR o.parent_id = root.order_id
ORDER BY o.order_id FOR UPDATE OF o;

-- name: lock_due
-- Lock what is due for a root order; after its orders.
SELECT status FROM pay_order WHERE order_id = $1 AND due_number = 1 FOR UPDATE;

-- name: read_lines
-- The lines of an order without a seller's change: price without freight, freight that no gift card has paid, and
-- the change in force.
SELECT line_id, unchanged_minor - least(freight_minor, unchanged_minor) AS price_minor,
    least(freight_minor, unchanged_minor) AS freight_minor, price_change_minor
FROM (SELECT *, payable_minor + price_change_minor AS unchanged_minor FROM order_line WHERE order_id = $1) AS line
ORDER BY line_id;

-- name: has_open_attempts
-- Whether the buyer may be paying a root order right now.
SELECT EXISTS (SELECT FROM payment_order
               WHERE order_id = $1 AND status IN ('CREATED', 'PENDING', 'AUTHORIZED'));

-- name: change_lines!
-- What is taken off each of these lines from now on.
UPDATE order_line AS l
SET price_change_minor = c.change_minor, payable_minor = l.payable_minor + l.price_change_minor - c.change_minor
FROM unnest($2::bigint[], $3::bigint[]) AS c (line_id, change_minor)
WHERE l.order_id = $1 AND l.line_id = c.line_id;

-- name: change_orders<!
-- As much more ($2) is taken off these locked orders: the shop's, and its parent's where it has one. Points ($3)
-- are earned for the one that is paid.
UPDATE orders
SET price_change_minor = price_change_minor + $2, payable_minor = payable_minor - $2, version = version + 1,
    points_earned = CASE WHEN parent_id IS NULL THEN $3 ELSE points_earned END
WHERE order_id = ANY($1::bigint[])
RETURNING order_id, parent_id, buyer_id, shop_id, currency, price_change_minor, payable_minor, version;

-- name: goods_in_money
-- What a root order's goods cost in money, its sellers' changes taken off: they count against freight and tax first.
SELECT coalesce(sum(least(l.payable_minor, greatest(0, l.payable_minor + l.price_change_minor
        - l.freight_minor - l.tax_minor - l.undiscounted_minor))), 0)::bigint
FROM orders AS o JOIN order_line AS l USING (order_id)
WHERE o.order_id = $1 OR o.parent_id = $1;

-- name: change_due<!
-- And off what is due.
UPDATE pay_order SET amount_minor = amount_minor - $2
WHERE order_id = $1 AND due_number = 1 AND status = 'UNPAID'
RETURNING amount_minor;

-- name: insert_price_change!
-- Who changed what, when and why.
INSERT INTO price_change (change_id, order_id, changed_by, role, reason, before_minor, after_minor,
                          payable_before_minor, lines, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
