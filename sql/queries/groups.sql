-- name: read_offers
-- What campaigns sell, for drafting an order of it; the ledger decides over locked rows.
SELECT i.campaign_item_id, i.campaign_id, i.sku_id, i.currency, i.sale_price_minor, i.settlement_price_minor,
    i.pool_id, c.shop_id, c.stock_policy, item.title, item.item_type
FROM campaign_item AS i JOIN campaign AS c USING (campaign_id) JOIN item USING (item_id)
WHERE i.campaign_item_id = ANY($1::bigint[]) AND i.pool_id IS NOT NULL;

-- name: share_campaigns
-- Campaigns that orders are placed for: they do not end meanwhile.
SELECT campaign_id, status, starts_at, ends_at, orders_to_succeed, per_buyer_max, per_order_max, groups_at_once_max,
    stock_policy
FROM campaign WHERE campaign_id = ANY($1::bigint[]) ORDER BY campaign_id FOR SHARE;

-- name: share_items
-- What they sell, and whether they do.
SELECT campaign_item_id, campaign_id, pool_id, currency, sale_price_minor, sell_status
FROM campaign_item WHERE campaign_item_id = ANY($1::bigint[]) ORDER BY campaign_item_id FOR SHARE;

-- name: lock_groups
-- Groups that somebody joins, pays in, leaves or settles; after orders and campaigns, before stock.
SELECT group_id, campaign_id, status, slots, members_paid, stock_locked, ends_at, version FROM buy_group
WHERE group_id = ANY($1::bigint[]) ORDER BY group_id FOR UPDATE;

-- name: read_members
-- The living members of groups, with what they take; under the groups' locks.
SELECT g.order_id, g.group_id, g.slot, g.buyer_id, g.status, g.quantity, g.paid_at, l.pool_id, l.reserve_on, l.line_id
FROM group_order AS g JOIN order_line AS l USING (order_id)
WHERE g.group_id = ANY($1::bigint[]) AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')
ORDER BY g.group_id, g.slot;

-- name: hold_buyers!
-- One order of a buyer in a campaign is decided at a time, where a limit counts the others.
SELECT pg_advisory_xact_lock(hashtextextended(k.key, 0)) FROM (SELECT key FROM unnest($1::text[]) AS u (key) ORDER BY key) AS k;

-- name: count_buyers
-- What buyers have taken of campaigns, and in how many open groups (or about to start one) they are.
SELECT g.campaign_id, g.buyer_id, sum(g.quantity)::bigint AS quantity,
    count(*) FILTER (WHERE g.status IN ('UNPAID', 'PAID')) AS open_groups
FROM group_order AS g
WHERE (g.campaign_id, g.buyer_id) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
    AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')
GROUP BY g.campaign_id, g.buyer_id;

-- name: insert_group_orders!
-- What makes these orders a group's.
INSERT INTO group_order (order_id, campaign_id, campaign_item_id, buyer_id, quantity, settlement_price_minor, group_id,
    slot, join_other)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[],
    $8::integer[], $9::boolean[]);

-- name: set_locked!
-- Whether the stock of all of a group's members is reserved.
UPDATE buy_group SET stock_locked = $2 WHERE group_id = ANY($1::bigint[]);

-- name: hold_lines!
-- These orders' goods are reserved ('place'), or not any more ('group').
UPDATE order_line SET reserve_on = $2 WHERE order_id = ANY($1::bigint[]);

-- name: read_group_orders
-- Group orders among these orders, with what their campaign says; under the orders' locks.
SELECT g.order_id, g.group_id, g.slot, g.buyer_id, g.status, g.campaign_id, c.status AS campaign_status,
    c.orders_to_succeed, c.group_open_s, c.ends_at, c.starts_at
FROM group_order AS g JOIN campaign AS c USING (campaign_id)
WHERE g.order_id = ANY($1::bigint[]) ORDER BY g.order_id;

-- name: start_groups!
-- Groups whose first order is paid: it takes the first slot.
WITH started AS (
    INSERT INTO buy_group (group_id, campaign_id, slots, members_paid, share_code, started_at, ends_at)
    SELECT id, campaign_id, slots, 1, code, $5, ends_at
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[], $6::timestamptz[])
        AS s (id, campaign_id, slots, code, ends_at)
    RETURNING group_id
)
UPDATE group_order AS g SET group_id = started.group_id, slot = 1, status = 'PAID', paid_at = $5
FROM started WHERE g.order_id = started.group_id;

-- name: confirm_members<!
-- Members who have paid in time, and their groups' counts; a version each.
WITH paid AS (
    UPDATE group_order SET status = 'PAID', paid_at = $2 WHERE order_id = ANY($1::bigint[]) AND status = 'UNPAID'
    RETURNING group_id
)
UPDATE buy_group AS b SET members_paid = members_paid + n, version = version + n
FROM (SELECT group_id, count(*)::integer AS n FROM paid GROUP BY group_id) AS p WHERE b.group_id = p.group_id
RETURNING b.group_id, b.version;

-- name: mark_strays!
-- Paid, but there is no group any more that they belong to.
UPDATE group_order SET status = 'PAID', paid_at = $2, stray = true, group_id = NULL, slot = NULL
WHERE order_id = ANY($1::bigint[]) AND status = 'UNPAID';

-- name: cancel_group_orders<!
-- Unpaid ones among these orders are over, their slots free.
UPDATE group_order SET status = 'CANCELED' WHERE order_id = ANY($1::bigint[]) AND status = 'UNPAID'
RETURNING order_id, group_id;

-- name: due_groups
-- Groups to settle: full, over at $1, or of a campaign that was withdrawn; at most $3. Not those whose last try
-- failed a moment before $2, and, by the order that started it, none that somebody settles just now.
SELECT o.order_id AS group_id FROM (
    SELECT group_id FROM buy_group
    WHERE status = 'OPEN' AND members_paid = slots AND (retry_at IS NULL OR retry_at <= $2)
    UNION ALL
    SELECT group_id FROM buy_group
    WHERE status = 'OPEN' AND members_paid < slots AND ends_at <= $1 AND (retry_at IS NULL OR retry_at <= $2)
    UNION ALL
    SELECT group_id FROM buy_group AS b JOIN campaign AS c USING (campaign_id)
    WHERE b.status = 'OPEN' AND members_paid < slots AND b.ends_at > $1 AND c.status = 'ENDED' AND c.ended_at < c.ends_at
        AND (retry_at IS NULL OR retry_at <= $2)
) AS due JOIN orders AS o ON o.order_id = due.group_id
LIMIT $3 FOR UPDATE OF o SKIP LOCKED;

-- name: claim_members
-- Lock the orders of these groups' living members, unless somebody else has them. A group belongs to whoever has
-- the order that started it: so two workers share groups out, not their members.
WITH claimed AS MATERIALIZED (
    SELECT order_id FROM orders WHERE order_id = ANY($1::bigint[]) ORDER BY order_id FOR UPDATE SKIP LOCKED
)
SELECT g.group_id, g.order_id FROM claimed AS c JOIN group_order AS g ON g.group_id = c.order_id
JOIN orders AS o ON o.order_id = g.order_id
WHERE g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')
ORDER BY o.order_id FOR UPDATE OF o SKIP LOCKED;

-- name: lock_open_groups
-- Of these groups the open ones, locked, with what their campaigns say of them; after their members' orders.
SELECT b.group_id, b.slots, b.members_paid, b.ends_at, c.complete_from_bp, c.status AS campaign_status, c.ended_at,
    c.ends_at AS campaign_ends_at
FROM buy_group AS b JOIN campaign AS c USING (campaign_id)
WHERE b.group_id = ANY($1::bigint[]) AND b.status = 'OPEN' ORDER BY b.group_id FOR UPDATE OF b;

-- name: retry_group!
-- It could not be settled: it is tried again at $2.
UPDATE buy_group SET retry_at = $2 WHERE group_id = $1 AND status = 'OPEN';

-- name: lock_orders!
-- Lock these orders in the global order.
SELECT order_id FROM orders WHERE order_id = ANY($1::bigint[]) ORDER BY order_id FOR UPDATE;

-- name: settle_groups<!
-- The guarded end of groups: status, why it failed, whether it succeeded short.
UPDATE buy_group AS b SET status = e.status, settled_at = $5, fail_reason = e.reason, completed_short = e.short,
    stock_locked = false, version = b.version + 1
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[]) AS e (group_id, status, reason, short)
WHERE b.group_id = e.group_id AND b.status = 'OPEN'
RETURNING b.group_id, b.version;

-- name: succeed_members!
-- Their orders are trade orders from here on.
WITH moved AS (
    UPDATE group_order SET status = 'SUCCEEDED' WHERE order_id = ANY($1::bigint[]) AND status = 'PAID'
    RETURNING order_id
)
UPDATE orders AS o SET out_type = 'group_order', out_id = o.order_id FROM moved WHERE o.order_id = moved.order_id;

-- name: refund_members<!
-- All of what these group orders have paid goes back, and why: refunds that wait to be sent, once an order; of
-- nothing where nothing was to be paid.
WITH member AS (
    SELECT g.order_id, r.refund_id, r.reason, o.buyer_id, o.currency, p.payment_id, p.captured_minor AS amount_minor, l.line_id,
        l.quantity
    FROM unnest($1::bigint[], $2::bigint[], $4::text[]) AS r (order_id, refund_id, reason)
    JOIN group_order AS g USING (order_id) JOIN orders AS o USING (order_id)
    JOIN pay_order AS p ON p.order_id = g.order_id AND p.due_number = 1
        AND (p.captured_minor > 0 OR p.amount_minor = 0)
    JOIN order_line AS l ON l.order_id = g.order_id
    WHERE g.status = 'PAID'
), moved AS (
    UPDATE group_order AS g SET status = 'REFUNDING', stray = false, slot = NULL FROM member AS m
    WHERE g.order_id = m.order_id RETURNING g.order_id
), lines AS (
    UPDATE order_line AS l SET refunded_quantity = l.quantity, refunded_minor = l.payable_minor FROM member AS m
    WHERE l.order_id = m.order_id
), due AS (
    UPDATE pay_order AS p SET refunding_minor = p.refunding_minor + m.amount_minor FROM member AS m
    WHERE p.order_id = m.order_id AND p.due_number = 1
), asked AS (
    INSERT INTO refund (refund_id, order_id, payment_id, buyer_id, cause, currency, amount_minor, reason, created_at,
        updated_at, send_at)
    SELECT refund_id, order_id, payment_id, buyer_id, 'group_failed', currency, amount_minor, reason, $3, $3, $3 FROM member
    RETURNING refund_id, currency, amount_minor
), lines_asked AS (
    INSERT INTO refund_line (refund_id, order_id, line_id, quantity, amount_minor)
    SELECT refund_id, order_id, line_id, quantity, amount_minor FROM member
)
SELECT refund_id, currency, amount_minor FROM asked;

-- name: leave_strays!
-- Of members who are to be refunded those whose money is authorized only: it goes back once it has been taken.
UPDATE group_order SET stray = true, slot = NULL WHERE order_id = ANY($1::bigint[]) AND status = 'PAID';

-- name: refunded_group_orders!
-- Their money has gone back.
UPDATE group_order SET status = 'REFUNDED' WHERE order_id = ANY($1::bigint[]) AND status = 'REFUNDING';

-- name: read_strays
-- Members without a group, whose money has been captured (or who had nothing to pay); none that somebody has locked.
SELECT g.order_id, g.campaign_id, g.buyer_id, g.join_other, g.quantity FROM group_order AS g
JOIN pay_order AS p ON p.order_id = g.order_id AND p.due_number = 1
WHERE g.stray AND (p.captured_minor > 0 OR p.amount_minor = 0)
ORDER BY g.order_id LIMIT $1 FOR UPDATE OF g SKIP LOCKED;

-- name: group_orders_of_buyer
-- A buyer's group orders before a cursor, the newest first.
SELECT g.order_id, g.status, g.campaign_id, g.campaign_item_id, g.group_id, g.slot, g.quantity, o.currency, o.payable_minor,
    o.pay_deadline, o.created_at, o.out_id AS trade_order_id, b.status AS group_status, b.ends_at AS group_ends_at,
    b.share_code, c.stock_policy, l.title, l.sku_id,
    (SELECT coalesce(json_agg(json_build_object('row', s.row_name, 'number', s.number) ORDER BY s.rank, s.position), '[]')
     FROM seat AS s WHERE (s.order_id, s.line_id) = (l.order_id, l.line_id)) AS seats
FROM group_order AS g JOIN orders AS o USING (order_id) JOIN order_line AS l USING (order_id)
JOIN campaign AS c USING (campaign_id) LEFT JOIN buy_group AS b USING (group_id)
WHERE g.buyer_id = $1 AND g.order_id < $2 AND ($3::bigint IS NULL OR g.order_id = $3)
ORDER BY g.order_id DESC LIMIT $4;

-- name: show_group
-- A group as everyone may see it.
SELECT b.group_id, b.campaign_id, b.status, b.slots, b.members_paid, b.completed_short, b.share_code, b.started_at,
    b.ends_at, b.settled_at, b.fail_reason, b.version, c.item_id, c.shop_id, c.name,
    (SELECT count(*) FROM group_order AS g WHERE g.group_id = b.group_id AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS members
FROM buy_group AS b JOIN campaign AS c USING (campaign_id) WHERE b.group_id = $1 OR b.share_code = $2;
