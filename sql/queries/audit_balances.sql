-- Points, gift cards and red packets: as in audit.sql, each statement returns the violations of one rule.

-- name: balances_are_entries
-- What an account holds is the sum of its entries.
SELECT format('%s %s', account, currency) AS id,
       format('holds %s, its entries come to %s', coalesce(b.amount, 0), coalesce(e.amount, 0)) AS why
FROM balance AS b
FULL JOIN (SELECT account, currency, sum(amount_minor) AS amount FROM ledger_entry
           WHERE balance_after IS NOT NULL GROUP BY account, currency) AS e USING (account, currency)
WHERE coalesce(b.amount, 0) <> coalesce(e.amount, 0)
LIMIT 1000;

-- name: points_lots
-- What is left of a buyer's lots is what the buyer's account holds; who owes points has none left.
SELECT account AS id, format('holds %s, left of the lots %s', coalesce(b.amount, 0), coalesce(l.remaining, 0)) AS why
FROM (SELECT account, amount FROM balance WHERE account LIKE 'points:%') AS b
FULL JOIN (SELECT 'points:' || buyer_id AS account, sum(remaining) AS remaining FROM points_lot GROUP BY buyer_id) AS l
       USING (account)
WHERE greatest(coalesce(b.amount, 0), 0) <> coalesce(l.remaining, 0)
LIMIT 1000;

-- name: points_lot_uses
-- The points that an order took are those that its lots gave, and as many are back as the order says.
SELECT root_id::text AS id,
       format('took %s, %s are back; its lots gave %s, %s are back', coalesce(d.amount, 0), coalesce(d.returned, 0),
              coalesce(u.points, 0), coalesce(u.returned, 0)) AS why
FROM (SELECT d.root_id, sum(d.amount) AS amount,
             sum(CASE WHEN o.status = 'CANCELED' THEN d.amount ELSE d.returned END) AS returned
      FROM order_deduction AS d JOIN orders AS o ON o.order_id = d.root_id
      WHERE d.kind = 'points' GROUP BY d.root_id) AS d
FULL JOIN (SELECT root_id, sum(points) AS points, sum(returned) AS returned FROM points_lot_use GROUP BY root_id) AS u
       USING (root_id)
WHERE (coalesce(d.amount, 0), coalesce(d.returned, 0)) <> (coalesce(u.points, 0), coalesce(u.returned, 0))
LIMIT 1000;

-- name: deductions_and_lines
-- What a line was lowered by of each kind is what it took of balances; and an order used the points that it took.
SELECT 'line ' || l.line_id AS id,
       format('points %s, red packets %s, gift cards %s; took %s, %s and %s', l.points_discount_minor, l.red_packet_minor,
              l.gift_card_minor, coalesce(d.points, 0), coalesce(d.packets, 0), coalesce(d.cards, 0)) AS why
FROM order_line AS l
LEFT JOIN (SELECT order_id, line_id, sum(amount_minor) FILTER (WHERE kind = 'points') AS points,
                  sum(amount_minor) FILTER (WHERE kind = 'red_packet') AS packets,
                  sum(amount_minor) FILTER (WHERE kind = 'gift_card') AS cards
           FROM order_deduction GROUP BY order_id, line_id) AS d USING (order_id, line_id)
WHERE (l.points_discount_minor, l.red_packet_minor, l.gift_card_minor)
      <> (coalesce(d.points, 0), coalesce(d.packets, 0), coalesce(d.cards, 0))
UNION ALL
SELECT 'order ' || o.order_id, format('used %s points, took %s', o.points_used, coalesce(d.points, 0))
FROM orders AS o
LEFT JOIN (SELECT root_id, sum(amount) AS points FROM order_deduction WHERE kind = 'points' GROUP BY root_id) AS d
       ON d.root_id = o.order_id
WHERE o.points_used <> coalesce(d.points, 0)
LIMIT 1000;

-- name: deductions_posted
-- What an order took is frozen while it is unpaid, back when it is canceled, else spent but for what was given back.
SELECT format('%s %s', root_id, kind) AS id,
       format('%s, took %s of which %s are back; frozen %s, spent %s', d.status, d.amount, d.returned,
              coalesce(e.frozen, 0), coalesce(e.spent, 0)) AS why
FROM (SELECT d.root_id, d.kind, o.status, sum(d.amount) AS amount, sum(d.returned) AS returned
      FROM order_deduction AS d LEFT JOIN orders AS o ON o.order_id = d.root_id
      GROUP BY d.root_id, d.kind, o.status) AS d
FULL JOIN (SELECT order_id AS root_id, split_part(account, ':', 2) AS kind,
                  sum(amount_minor) FILTER (WHERE account LIKE 'frozen:%') AS frozen,
                  sum(amount_minor) FILTER (WHERE account LIKE 'spent:%') AS spent
           FROM ledger_entry WHERE account LIKE 'frozen:%' OR account LIKE 'spent:%'
           GROUP BY order_id, split_part(account, ':', 2)) AS e USING (root_id, kind)
WHERE (coalesce(e.frozen, 0), coalesce(e.spent, 0)) IS DISTINCT FROM (CASE d.status
      WHEN 'NOT_PAID' THEN d.amount ELSE 0 END, CASE WHEN d.status IN ('NOT_PAID', 'CANCELED') THEN 0
      ELSE d.amount - d.returned END)
LIMIT 1000;

-- name: red_packets_spent_once
-- A packet lowers the price of one live order, its buyer's, which holds it: locked while unpaid, then used.
SELECT packet_id::text AS id,
       format('%s by %s; lowers %s, which is %s', k.status, coalesce(k.order_id::text, 'none'),
              coalesce(o.order_id::text, 'none'), coalesce(o.status, 'missing')) AS why
FROM red_packet AS k
FULL JOIN (SELECT DISTINCT substr(d.account, 12)::bigint AS packet_id, o.order_id, o.status, o.buyer_id
           FROM order_deduction AS d JOIN orders AS o ON o.order_id = d.root_id
           WHERE d.kind = 'red_packet' AND o.status <> 'CANCELED') AS o USING (packet_id)
WHERE k.order_id IS DISTINCT FROM o.order_id OR k.buyer_id IS DISTINCT FROM coalesce(o.buyer_id, k.buyer_id)
   OR k.status = 'locked' AND o.status <> 'NOT_PAID' OR k.status = 'used' AND o.status = 'NOT_PAID'
LIMIT 1000;

-- name: red_packets_hold
-- A packet holds its amount while it can be used, what its order leaves of it while locked, and nothing after.
SELECT k.packet_id::text AS id, format('%s of %s holds %s', k.status, k.amount_minor, coalesce(b.amount, 0)) AS why
FROM red_packet AS k
LEFT JOIN balance AS b ON b.account = 'red_packet:' || k.packet_id
LEFT JOIN (SELECT root_id, sum(amount) AS amount FROM order_deduction WHERE kind = 'red_packet' GROUP BY root_id) AS d
       ON d.root_id = k.order_id
WHERE coalesce(b.amount, 0) <> CASE k.status WHEN 'available' THEN k.amount_minor
      WHEN 'locked' THEN k.amount_minor - coalesce(d.amount, 0) ELSE 0 END
LIMIT 1000;

-- name: waiting_balances
-- Points and red packets whose time is over have left, unless an order holds them.
SELECT 'lot ' || lot_id AS id, format('%s points left, ended at %s', remaining, expires_at) AS why
FROM points_lot WHERE remaining > 0 AND expires_at < $1
UNION ALL
SELECT 'packet ' || packet_id, format('available, ended at %s', expires_at)
FROM red_packet WHERE status = 'available' AND expires_at < $1
LIMIT 1000;
