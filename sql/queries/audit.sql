-- Each statement returns the violations of one rule as (id, why), at most 1000; none is what must be.

-- name: no_time_limit!
-- An audit reads whole tables.
SET LOCAL statement_timeout = 0;

-- name: stock_movements
-- A pool's numbers are the sums of its movements.
SELECT p.pool_id::text AS id,
       format('on hand %s and reserved %s; movements say %s and %s', p.on_hand, p.reserved, coalesce(m.on_hand, 0),
              coalesce(m.reserved, 0)) AS why
FROM stock_pool AS p
LEFT JOIN (SELECT pool_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
           FROM stock_movement GROUP BY pool_id) AS m USING (pool_id)
WHERE (p.on_hand, p.reserved) <> (coalesce(m.on_hand, 0), coalesce(m.reserved, 0))
LIMIT 1000;

-- name: stock_reserved
-- What a pool holds reserved is what live orders that wait (for money, for their group) have reserved of it.
SELECT p.pool_id::text AS id, format('reserved %s, unpaid orders hold %s', p.reserved, coalesce(h.held, 0)) AS why
FROM stock_pool AS p
LEFT JOIN (SELECT l.pool_id, sum(l.quantity) AS held FROM order_line AS l JOIN orders AS o USING (order_id)
           WHERE o.status IN ('NOT_PAID', 'PENDING_GROUP') AND l.reserve_on = 'place' GROUP BY l.pool_id)
     AS h USING (pool_id)
WHERE p.reserved <> coalesce(h.held, 0)
LIMIT 1000;

-- name: stock_sold
-- No pool has sold more than it was supplied with, or holds less than nothing.
SELECT p.pool_id::text AS id,
       format('supplied %s, sold %s, on hand %s, reserved %s', m.supplied, m.sold, p.on_hand, p.reserved) AS why
FROM stock_pool AS p
LEFT JOIN (SELECT pool_id, coalesce(sum(on_hand_delta) FILTER (WHERE kind <> 'confirm'), 0) AS supplied,
                  coalesce(-sum(on_hand_delta) FILTER (WHERE kind = 'confirm'), 0) AS sold
           FROM stock_movement GROUP BY pool_id) AS m USING (pool_id)
WHERE m.sold > m.supplied OR p.reserved < 0 OR p.on_hand < p.reserved
LIMIT 1000;

-- name: stock_of_orders
-- What an order has moved is what its state says: reserved while it waits, taken when paid (of a group order: when
-- its group has succeeded), else nothing.
SELECT o.order_id::text AS id,
       format('pool %s: %s with %s units has reserved %s and taken %s', l.pool_id, o.status, l.quantity,
              coalesce(m.reserved, 0), coalesce(m.taken, 0)) AS why
FROM orders AS o
JOIN (SELECT order_id, pool_id, sum(quantity) AS quantity,
             coalesce(sum(quantity) FILTER (WHERE reserve_on = 'place'), 0) AS at_once
      FROM order_line WHERE reserve_on <> 'never' GROUP BY order_id, pool_id) AS l USING (order_id)
LEFT JOIN (SELECT order_id, pool_id, sum(reserved_delta) AS reserved,
                  -sum(on_hand_delta) FILTER (WHERE kind = 'confirm') AS taken
           FROM stock_movement WHERE order_id IS NOT NULL GROUP BY order_id, pool_id) AS m
       ON (m.order_id, m.pool_id) = (l.order_id, l.pool_id)
WHERE coalesce(m.reserved, 0) <> CASE WHEN o.status IN ('NOT_PAID', 'PENDING_GROUP') THEN l.at_once ELSE 0 END
   OR coalesce(m.taken, 0) <> CASE WHEN o.status IN ('NOT_PAID', 'CANCELED', 'PENDING_GROUP')
                                     OR o.mode = 'group' AND o.out_id IS NULL THEN 0 ELSE l.quantity END
LIMIT 1000;

-- name: purchase_limits
-- What counts against a buyer's limit is what the buyer's orders have taken; a limit set later counts from then.
SELECT format('%s %s %s', p.activity_id, p.sku_id, p.buyer_id) AS id,
       format('counted %s, orders have %s', p.quantity, coalesce(t.taken, 0)) AS why
FROM purchase_limit AS p
LEFT JOIN (SELECT o.activity_id, l.sku_id, o.buyer_id, sum(l.quantity) AS taken
           FROM orders AS o JOIN order_line AS l USING (order_id)
               JOIN stock_pool AS s USING (pool_id, activity_id)
           WHERE o.activity_id <> '0' AND o.status <> 'CANCELED'
           GROUP BY o.activity_id, l.sku_id, o.buyer_id) AS t USING (activity_id, sku_id, buyer_id)
WHERE p.quantity > coalesce(t.taken, 0)
LIMIT 1000;

-- name: stock_orphans
-- Movements and lines belong to pools and orders.
SELECT 'movement ' || m.movement_id AS id, 'its pool or its order is missing' AS why
FROM stock_movement AS m
WHERE NOT EXISTS (SELECT FROM stock_pool AS p WHERE p.pool_id = m.pool_id)
   OR (m.order_id IS NOT NULL AND NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = m.order_id))
UNION ALL
SELECT 'line ' || l.line_id, 'its pool or its order is missing' FROM order_line AS l
WHERE NOT EXISTS (SELECT FROM stock_pool AS p WHERE p.pool_id = l.pool_id)
   OR NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = l.order_id)
LIMIT 1000;

-- name: pay_order_captured
-- What was paid for an order came from one captured payment of that amount.
SELECT d.order_id::text AS id,
       format('%s %s %s, payment %s is %s over %s', d.status, d.amount_minor, d.currency, d.payment_id, p.status,
              p.amount_minor) AS why
FROM pay_order AS d LEFT JOIN payment_order AS p ON p.payment_id = d.payment_id
WHERE d.captured_minor > 0
  AND (p.status, p.amount_minor, p.currency, p.order_id)
      IS DISTINCT FROM ('CAPTURED', d.captured_minor, d.currency, d.order_id)
LIMIT 1000;

-- name: pay_order_refunds
-- What an order's payment says was given back, or is being given back, is what its refunds say.
SELECT d.order_id::text AS id,
       format('refunded %s and refunding %s; its refunds say %s and %s', d.refunded_minor, d.refunding_minor,
              coalesce(r.refunded, 0), coalesce(r.refunding, 0)) AS why
FROM pay_order AS d
LEFT JOIN (SELECT order_id, sum(amount_minor) FILTER (WHERE status = 'SUCCEEDED') AS refunded,
                  sum(amount_minor) FILTER (WHERE status <> 'SUCCEEDED') AS refunding
           FROM refund WHERE cause NOT IN ('late_payment', 'double_payment', 'wrong_amount')
           GROUP BY order_id) AS r USING (order_id)
WHERE (d.refunded_minor, d.refunding_minor) <> (coalesce(r.refunded, 0), coalesce(r.refunding, 0))
LIMIT 1000;

-- name: refunds_within_payment
-- No payment gives back more than it brought.
SELECT r.payment_id::text AS id,
       format('refunds of %s, captured %s', sum(r.amount_minor), coalesce(max(c.captured), 0)) AS why
FROM refund AS r
LEFT JOIN (SELECT posting_id AS payment_id, sum(amount_minor) AS captured FROM ledger_entry
           WHERE posting_kind = 'capture' AND account LIKE 'channel:%' GROUP BY posting_id) AS c USING (payment_id)
GROUP BY r.payment_id
HAVING sum(r.amount_minor) > coalesce(max(c.captured), 0)
LIMIT 1000;

-- name: uncounted_money
-- Money that was captured and counts for no order goes back, whole.
SELECT p.payment_id::text AS id, format('captured %s, no order counts it, no refund', p.amount_minor) AS why
FROM payment_order AS p JOIN pay_order AS d USING (order_id, due_number)
WHERE p.status = 'CAPTURED'
  AND (d.payment_id IS DISTINCT FROM p.payment_id OR d.captured_minor = 0)
  AND NOT EXISTS (SELECT FROM refund AS r WHERE r.payment_id = p.payment_id AND r.amount_minor = p.amount_minor
                  AND r.cause IN ('late_payment', 'double_payment', 'wrong_amount'))
LIMIT 1000;

-- name: ledger_balance
-- The entries of a posting sum to zero per currency.
SELECT format('%s %s', posting_kind, posting_id) AS id, format('sums to %s %s', sum(amount_minor), currency) AS why
FROM ledger_entry GROUP BY posting_kind, posting_id, currency HAVING sum(amount_minor) <> 0
LIMIT 1000;

-- name: ledger_postings
-- Every capture and every refund that succeeded is posted with its amount, and nothing else is.
SELECT format('%s %s', kind, id) AS id, format('happened: %s, posted: %s', f.amount, e.amount) AS why
FROM (SELECT 'capture' AS kind, payment_id AS id, amount_minor AS amount FROM payment_order
      WHERE status = 'CAPTURED'
      UNION ALL
      SELECT 'refund', refund_id, -amount_minor FROM refund
      WHERE status = 'SUCCEEDED' AND amount_minor > 0) AS f
FULL JOIN (SELECT posting_kind AS kind, posting_id AS id, sum(amount_minor) AS amount FROM ledger_entry
           WHERE account LIKE 'channel:%' GROUP BY posting_kind, posting_id) AS e USING (kind, id)
WHERE f.amount IS DISTINCT FROM e.amount
LIMIT 1000;

-- name: refund_lines
-- A refund of an order's money is the sum of its lines, and the lines know what was asked back of them.
SELECT 'refund ' || r.refund_id AS id, format('%s, its lines %s', r.amount_minor, coalesce(l.amount, 0)) AS why
FROM refund AS r
LEFT JOIN (SELECT refund_id, sum(amount_minor) AS amount FROM refund_line GROUP BY refund_id) AS l
       USING (refund_id)
WHERE r.cause NOT IN ('late_payment', 'double_payment', 'wrong_amount')
  AND r.amount_minor <> coalesce(l.amount, 0)
UNION ALL
SELECT 'line ' || l.line_id, format('asked back %s of %s units; its refunds say %s of %s', l.refunded_minor,
                                    l.refunded_quantity, coalesce(r.amount, 0), coalesce(r.quantity, 0))
FROM order_line AS l
LEFT JOIN (SELECT order_id, line_id, sum(amount_minor) AS amount, sum(quantity) AS quantity
           FROM refund_line GROUP BY order_id, line_id) AS r USING (order_id, line_id)
WHERE (l.refunded_minor, l.refunded_quantity) <> (coalesce(r.amount, 0), coalesce(r.quantity, 0))
LIMIT 1000;

-- name: order_and_payment
-- An order's state and that of its payment fit; an authorization may stand for the money until it is taken.
SELECT o.order_id::text AS id, format('order %s, payment %s', o.status, coalesce(d.status, 'missing')) AS why
FROM orders AS o LEFT JOIN pay_order AS d USING (order_id)
WHERE o.parent_id IS NULL
  AND coalesce(d.status, 'missing') <> ALL (CASE o.status
      WHEN 'NOT_PAID' THEN ARRAY['UNPAID', 'AUTHORIZED']
      WHEN 'CANCELED' THEN ARRAY['CLOSED']
      WHEN 'CLOSED' THEN ARRAY['REFUNDED']
      ELSE ARRAY['AUTHORIZED', 'PAID', 'PART_REFUNDED', 'REFUNDED'] END)
UNION ALL
SELECT d.order_id::text, 'due for an order that is missing, or for a child' FROM pay_order AS d
WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.order_id = d.order_id AND o.parent_id IS NULL)
LIMIT 1000;

-- name: lines_add_up
-- An order is the sum of its lines, column by column.
SELECT o.order_id::text AS id, format('payable %s, its lines %s', o.payable_minor, l.payable) AS why
FROM orders AS o
LEFT JOIN (SELECT order_id, sum(goods_minor) AS goods, sum(promotion_discount_minor) AS promotion,
                  sum(coupon_discount_minor) AS coupon, sum(points_discount_minor) AS points,
                  sum(red_packet_minor) AS red_packet, sum(gift_card_minor) AS gift_card,
                  sum(price_change_minor) AS price_change, sum(freight_minor) AS freight, sum(tax_minor) AS tax,
                  sum(payable_minor) AS payable
           FROM order_line GROUP BY order_id) AS l USING (order_id)
WHERE o.shop_id IS NOT NULL
  AND (o.goods_minor, o.promotion_discount_minor, o.coupon_discount_minor, o.points_discount_minor,
       o.red_packet_minor, o.gift_card_minor, o.price_change_minor, o.freight_minor, o.tax_minor, o.payable_minor)
      IS DISTINCT FROM (l.goods, l.promotion, l.coupon, l.points, l.red_packet, l.gift_card, l.price_change,
                        l.freight, l.tax, l.payable)
LIMIT 1000;

-- name: discounts_explained
-- What was taken off a line is what its rules gave.
SELECT l.line_id::text AS id, format('taken off %s, rules gave %s', l.off, l.given) AS why
FROM (SELECT line_id, promotion_discount_minor + coupon_discount_minor + points_discount_minor
                      + red_packet_minor + gift_card_minor AS off,
             coalesce((SELECT sum((d ->> 'amount_minor')::bigint) FROM jsonb_array_elements(discounts) AS d), 0) AS given
      FROM order_line) AS l
WHERE l.off <> l.given
LIMIT 1000;

-- name: children_add_up
-- A parent is the sum of its children, column by column, in one currency and of one buyer.
SELECT p.order_id::text AS id, format('payable %s, its children %s', p.payable_minor, c.payable) AS why
FROM orders AS p
LEFT JOIN (SELECT parent_id, sum(goods_minor) AS goods, sum(promotion_discount_minor) AS promotion,
                  sum(coupon_discount_minor) AS coupon, sum(price_change_minor) AS price_change,
                  sum(freight_minor) AS freight, sum(tax_minor) AS tax, sum(payable_minor) AS payable, min(currency) AS currency,
                  min(buyer_id) AS buyer_id, count(DISTINCT (currency, buyer_id)) AS kinds
           FROM orders WHERE parent_id IS NOT NULL GROUP BY parent_id) AS c ON c.parent_id = p.order_id
WHERE p.shop_id IS NULL
  AND (p.goods_minor, p.promotion_discount_minor, p.coupon_discount_minor, p.price_change_minor, p.freight_minor,
       p.tax_minor, p.payable_minor, p.currency, p.buyer_id, 1)
      IS DISTINCT FROM (c.goods, c.promotion, c.coupon, c.price_change, c.freight, c.tax, c.payable, c.currency,
                        c.buyer_id, c.kinds)
LIMIT 1000;

-- name: due_is_payable
-- What is due for an order is what it costs.
SELECT d.order_id::text AS id, format('due %s, costs %s', d.amount_minor, o.payable_minor) AS why
FROM pay_order AS d JOIN orders AS o USING (order_id)
WHERE (d.amount_minor, d.currency) <> (o.payable_minor, o.currency)
LIMIT 1000;

-- name: price_changes
-- What a seller has taken off an order and its lines is what the last change on record says.
SELECT l.line_id::text AS id,
       format('%s taken off, on record %s', l.price_change_minor, coalesce(c.after_minor, 0)) AS why
FROM order_line AS l
LEFT JOIN (SELECT DISTINCT ON (p.order_id, e ->> 'line_id') p.order_id, (e ->> 'line_id')::bigint AS line_id,
                  (e ->> 'after_minor')::bigint AS after_minor
           FROM price_change AS p, jsonb_array_elements(p.lines) AS e
           ORDER BY p.order_id, e ->> 'line_id', p.change_id DESC) AS c USING (order_id, line_id)
WHERE l.price_change_minor <> coalesce(c.after_minor, 0)
LIMIT 1000;

-- name: parents_and_children
-- A parent and its children are unpaid together or canceled together; once paid the parent is INVALID.
SELECT c.order_id::text AS id, format('child %s, parent %s', c.status, coalesce(p.status, 'missing')) AS why
FROM orders AS c LEFT JOIN orders AS p ON p.order_id = c.parent_id
WHERE c.parent_id IS NOT NULL
  AND coalesce(p.status, 'missing')
      <> CASE WHEN c.status IN ('NOT_PAID', 'CANCELED') THEN c.status ELSE 'INVALID' END
LIMIT 1000;

-- name: rule_uses
-- What has been taken of a limited rule is what its orders have taken.
SELECT format('%s %s %s %s', kind, rule_id, measure, whose) AS id,
       format('counted %s, orders have %s', coalesce(u.taken, 0), coalesce(e.taken, 0)) AS why
FROM rule_use AS u
FULL JOIN (SELECT kind, rule_id, measure, whose, sum(taken) AS taken FROM order_rule_use
           GROUP BY kind, rule_id, measure, whose) AS e USING (kind, rule_id, measure, whose)
WHERE coalesce(u.taken, 0) <> coalesce(e.taken, 0)
LIMIT 1000;

-- name: rule_uses_of_orders
-- Only live orders have taken something of a limited rule, and no other amount than the rule gave them.
SELECT format('%s %s %s', e.order_id, e.rule_id, e.measure) AS id,
       format('counted %s; the order is %s, the rule gave it %s, %s times', e.taken, coalesce(o.status, 'missing'),
              coalesce(g.amount_minor, 0), coalesce(g.uses, 0)) AS why
FROM order_rule_use AS e
LEFT JOIN orders AS o ON o.order_id = e.order_id
LEFT JOIN (SELECT coalesce(o.parent_id, o.order_id) AS order_id, d ->> 'kind' AS kind,
                  coalesce(c.template_id, d ->> 'rule_id') AS rule_id,
                  sum((d ->> 'amount_minor')::bigint + coalesce((d ->> 'freight_minor')::bigint, 0)) AS amount_minor,
                  count(DISTINCT d ->> 'rule_id') AS uses
           FROM orders AS o JOIN order_line AS l USING (order_id)
           CROSS JOIN jsonb_array_elements(l.discounts) AS d
           LEFT JOIN coupon AS c ON d ->> 'kind' = 'coupon' AND c.coupon_id::text = d ->> 'rule_id'
           WHERE coalesce(o.parent_id, o.order_id) IN (SELECT order_id FROM order_rule_use)
           GROUP BY 1, 2, 3) AS g ON (g.order_id, g.kind, g.rule_id) = (e.order_id, e.kind, e.rule_id)
WHERE coalesce(o.status, 'CANCELED') = 'CANCELED' OR o.parent_id IS NOT NULL
   OR e.kind <> 'first_order' AND e.taken IS DISTINCT FROM CASE e.measure WHEN 'budget' THEN g.amount_minor ELSE g.uses END
LIMIT 1000;

-- name: keys_and_orders
-- A key of a checkout has its answer and its order, and no two keys have the same one.
SELECT encode(k.digest, 'hex') AS id, format('its order %s is missing, or is that of another key', k.order_id) AS why
FROM (SELECT digest, order_id, count(*) OVER (PARTITION BY order_id) AS keys
      FROM (SELECT digest, CASE WHEN status = 201 THEN (convert_from(response, 'UTF8')::jsonb ->> 'order_id')::bigint
                           END AS order_id
            FROM idempotency WHERE call = 'checkout/entries') AS answered) AS k
LEFT JOIN orders AS o USING (order_id)
WHERE o.order_id IS NULL OR k.keys > 1
LIMIT 1000;

-- name: unfinished_keys
-- A key that is kept has an answer.
SELECT encode(digest, 'hex') AS id, format('%s of %s has no answer', call, caller_id) AS why
FROM idempotency WHERE status = 0 OR response = ''
LIMIT 1000;

-- name: events_applied
-- A capture that was reported and applied has happened here.
SELECT format('%s %s', e.source, e.event_id) AS id,
       format('payment %s is %s', e.body #>> '{data,payment_id}', coalesce(p.status, 'missing')) AS why
FROM inbound_event AS e
LEFT JOIN payment_order AS p ON p.payment_id::text = e.body #>> '{data,payment_id}'
WHERE e.status = 'APPLIED' AND e.type = 'payment_notified_cm' AND e.body #>> '{data,status}' = 'captured'
  AND p.status IS DISTINCT FROM 'CAPTURED'
LIMIT 1000;

-- name: waiting_orders
-- Unpaid orders are closed in time.
SELECT order_id::text AS id, format('due since %s', pay_deadline) AS why
FROM orders WHERE status = 'NOT_PAID' AND pay_deadline < $1
UNION ALL
SELECT order_id::text, 'unpaid, without a deadline' FROM orders
WHERE status = 'NOT_PAID' AND parent_id IS NULL AND pay_deadline IS NULL
LIMIT 1000;

-- name: waiting_payments
-- Open attempts to pay are asked about, and every open one has a time for it.
SELECT payment_id::text AS id, format('%s, to be asked about since %s', status, coalesce(poll_at::text, 'never')) AS why
FROM payment_order
WHERE poll_at < $1 OR (poll_at IS NULL AND status IN ('CREATED', 'PENDING', 'AUTHORIZED'))
LIMIT 1000;

-- name: waiting_refunds
-- Refunds are sent, and every open one has a time for it.
SELECT refund_id::text AS id, format('%s, to be sent since %s', status, coalesce(send_at::text, 'never')) AS why
FROM refund WHERE send_at < $1 OR (send_at IS NULL AND status IN ('REQUESTED', 'SENT'))
LIMIT 1000;

-- name: waiting_events
-- Events that came in are applied.
SELECT format('%s %s', source, event_id) AS id, format('%s, due since %s', status, apply_at) AS why
FROM inbound_event WHERE apply_at < $1 OR (apply_at IS NULL AND status IN ('RECEIVED', 'WAITING'))
LIMIT 1000;

-- name: waiting_flash_sales
-- Flash sales end when their time is over.
SELECT activity_id AS id, format('over since %s', ends_at) AS why
FROM flash_sale WHERE ended_at IS NULL AND ends_at < $1
LIMIT 1000;

-- name: waiting_outbox
-- Events are exported. Their time is the database's, whatever the clock of the one who asks.
SELECT o.event_id::text AS id, format('%s of %s waits since %s', o.topic, o.aggregate_id, o.created_at) AS why
FROM outbox_cursor AS c, outbox AS o
WHERE c.reader = 'redis_streams' AND (o.position IS NULL OR o.position > c.position)
  AND o.created_at < $1 AND o.created_at < now() - interval '30 seconds'
LIMIT 1000;
