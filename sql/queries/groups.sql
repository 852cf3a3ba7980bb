-- name: read_offers
-- What campaigns sell, for drafting an order of it; the ledger decides over locked rows.
SELECT i.campaign_item_id, i.campaign_id, i.sku_id, i.currency, i.sale_price_minor, i.settlement_price_minor,
    i.pool_id, c.shop_id, c.stock_policy, item.title, item.item_type
FROM campaign_item AS i JOIN campaign AS c USING (campaign_id) JOIN item USING (item_id)
WHERE i.campaign_item_id = ANY($1::bigint[]) AND i.pool_id IS NOT NULL;

-- name: lock_for_orders
-- What orders are placed for, in the global order, as JSON arrays: campaigns and what they sell, which do not
-- change meanwhile; groups, which others wait for. Who wants a campaign alone has its turn (lock_campaign).
WITH turn AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock_shared(id)) AS n FROM (SELECT id FROM unnest($1::bigint[]) AS u (id) ORDER BY id) AS k
), c AS MATERIALIZED (
    SELECT campaign_id, status, starts_at, ends_at, per_buyer_max, per_order_max, groups_at_once_max, stock_policy
    FROM campaign WHERE campaign_id = ANY($1::bigint[]) AND (SELECT n FROM turn) > 0 ORDER BY campaign_id FOR SHARE
), i AS MATERIALIZED (
    SELECT campaign_item_id, sale_price_minor, sell_status FROM campaign_item
    WHERE campaign_item_id = ANY($2::bigint[]) AND (SELECT count(*) FROM c) >= 0
    ORDER BY campaign_item_id FOR SHARE
), g AS MATERIALIZED (
    SELECT group_id, campaign_id, status, slots, ends_at, stock_locked, slots_version FROM buy_group
    WHERE group_id = ANY($3::bigint[]) AND (SELECT count(*) FROM i) >= 0
    ORDER BY group_id FOR UPDATE
)
SELECT
    (SELECT coalesce(json_agg(json_build_array(campaign_id, status, starts_at, ends_at, per_buyer_max, per_order_max,
         groups_at_once_max, stock_policy)), '[]') FROM c) AS campaigns,
    (SELECT coalesce(json_agg(json_build_array(campaign_item_id, sale_price_minor, sell_status)), '[]') FROM i) AS items,
    (SELECT coalesce(json_agg(json_build_array(group_id, campaign_id, status, slots, ends_at, stock_locked,
         slots_version)), '[]') FROM g) AS groups;

-- name: read_members_lock_pools
-- The living members of groups, under the groups' locks, and the stock of theirs and of the pools $2, locked; as
-- JSON arrays. A statement of its own: the one that waits for a group's lock would not see who has just joined.
WITH m AS MATERIALIZED (
    SELECT g.group_id, g.order_id, g.buyer_id, g.slot, l.pool_id, g.quantity, l.reserve_on = 'place' AS held
    FROM group_order AS g JOIN order_line AS l USING (order_id)
    WHERE g.group_id = ANY($1::bigint[]) AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')
), p AS MATERIALIZED (
    SELECT pool_id, CASE WHEN closed THEN 0 ELSE on_hand - reserved END AS free FROM stock_pool
    WHERE pool_id = ANY($2::bigint[] || ARRAY(SELECT pool_id FROM m)) ORDER BY pool_id FOR UPDATE
)
SELECT
    (SELECT coalesce(json_agg(json_build_array(group_id, json_build_array(order_id, buyer_id, slot, pool_id, quantity, held))
         ORDER BY group_id, slot), '[]') FROM m) AS members,
    (SELECT coalesce(json_agg(json_build_array(pool_id, free)), '[]') FROM p) AS pools;

-- name: lock_groups
-- Groups that somebody joins, pays in, leaves or settles; after orders and campaigns, before stock.
SELECT group_id, campaign_id, status, slots, members_paid, stock_locked, ends_at, version, slots_version FROM buy_group
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

-- name: read_slots
-- What the gate must know of groups.
SELECT b.group_id, b.slots_version, b.status, b.slots, b.ends_at, m.buyers, m.orders
FROM buy_group AS b
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(g.buyer_id), '{}') AS buyers, coalesce(array_agg(g.order_id), '{}') AS orders
    FROM group_order AS g WHERE g.group_id = b.group_id AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS m
WHERE b.group_id = ANY($1::bigint[]);

-- name: write_group_orders<!
-- All rows of a batch at once, under the locks of what it is for: keys $1 to $4, none where they are held already;
-- orders with what must be paid and their lines, $5 a JSON array of GroupOrderRow; a version for each group that
-- somebody joins ($6). And what is reserved: the groups whose stock is reserved for all ($7), for which orders, of
-- which pools, how much ($8 to $10), and the sums by pool ($11, $12). Returns the pools as they are now.
-- As in write_orders, what becomes jsonb is read as json.
WITH keys AS (
    INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response)
    SELECT digest, 'groupbuy/orders', caller_id, request_hash, 201, response
    FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[]) AS k (digest, caller_id, request_hash, response)
    ORDER BY digest
), drafts AS MATERIALIZED (
    SELECT * FROM json_to_recordset($5::json) AS d (order_id bigint, line_id bigint, buyer_id text, shop_id text,
        currency text, sku_id text, title text, item_type text, pool_id bigint, held boolean, quantity integer,
        price_minor bigint, settlement_price_minor bigint, campaign_id bigint, campaign_item_id bigint,
        group_id bigint, slot integer, join_other boolean, address json, created_at timestamptz,
        pay_deadline timestamptz)
), placed AS (
    INSERT INTO orders (order_id, buyer_id, shop_id, status, currency, goods_minor, payable_minor, mode, activity_id,
        address, created_at, pay_deadline)
    SELECT order_id, buyer_id, shop_id, 'NOT_PAID', currency, price_minor * quantity, price_minor * quantity, 'group',
        'campaign:' || campaign_id, address::jsonb, created_at, pay_deadline
    FROM drafts
), due AS (
    INSERT INTO pay_order (order_id, currency, amount_minor) SELECT order_id, currency, price_minor * quantity FROM drafts
), lines AS (
    INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity, unit_price_minor,
        list_price_minor, goods_minor, payable_minor)
    SELECT order_id, line_id, sku_id, title, item_type, pool_id, CASE WHEN held THEN 'place' ELSE 'group' END, quantity,
        price_minor, price_minor, price_minor * quantity, price_minor * quantity
    FROM drafts
), members AS (
    INSERT INTO group_order (order_id, campaign_id, campaign_item_id, buyer_id, quantity, settlement_price_minor, group_id,
        slot, join_other)
    SELECT order_id, campaign_id, campaign_item_id, buyer_id, quantity, settlement_price_minor, group_id, slot, join_other
    FROM drafts
), joined AS (
    UPDATE buy_group SET slots_version = slots_version + 1, stock_locked = stock_locked OR group_id = ANY($7::bigint[])
    WHERE group_id = ANY($6::bigint[])
), held AS (
    UPDATE order_line SET reserve_on = 'place' WHERE order_id = ANY($8::bigint[]) AND reserve_on <> 'place'
), moved AS (
    INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)
    SELECT pool_id, 'reserve', 0, units, order_id
    FROM unnest($8::bigint[], $9::bigint[], $10::bigint[]) AS r (order_id, pool_id, units)
)
UPDATE stock_pool AS p SET reserved = reserved + r.units, version = p.version + 1
FROM unnest($11::bigint[], $12::bigint[]) AS r (pool_id, units) WHERE p.pool_id = r.pool_id
RETURNING p.pool_id, CASE WHEN p.closed THEN 0 ELSE p.on_hand - p.reserved END AS free, p.version;

-- name: leave_groups!
-- Somebody has left these groups: their slots are free, and what was reserved for all members is let go of.
UPDATE buy_group SET stock_locked = false, slots_version = slots_version + 1 WHERE group_id = ANY($1::bigint[]);

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
-- Groups whose first order is paid: it takes the first slot. A version more where one is left.
WITH started AS (
    INSERT INTO buy_group (group_id, campaign_id, slots, members_paid, share_code, started_at, ends_at, version)
    SELECT id, campaign_id, slots, 1, code, $5, ends_at, 1 + (slots = 2)::integer
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[], $6::timestamptz[])
        AS s (id, campaign_id, slots, code, ends_at)
    RETURNING group_id
)
UPDATE group_order AS g SET group_id = started.group_id, slot = 1, status = 'PAID', paid_at = $5
FROM started WHERE g.order_id = started.group_id;

-- name: confirm_members<!
-- Members who have paid in time, and their groups' counts; a version each, and one more where one slot is left.
WITH paid AS (
    UPDATE group_order SET status = 'PAID', paid_at = $2 WHERE order_id = ANY($1::bigint[]) AND status = 'UNPAID'
    RETURNING group_id
)
UPDATE buy_group AS b
SET members_paid = members_paid + n, version = version + n + (members_paid + n = slots - 1)::integer
FROM (SELECT group_id, count(*)::integer AS n FROM paid GROUP BY group_id) AS p WHERE b.group_id = p.group_id
RETURNING b.group_id, b.version, b.slots - b.members_paid AS slots_left;

-- name: mark_strays!
-- Paid, but there is no group any more that they belong to.
UPDATE group_order SET status = 'PAID', paid_at = $2, stray = true, late_for = group_id, group_id = NULL, slot = NULL
WHERE order_id = ANY($1::bigint[]) AND status = 'UNPAID';

-- name: reopen_late<!
-- Money has come for a group order that was canceled for a reason of $2, and whose buyer has agreed to another
-- group: it waits for its money again, without a place and with nothing reserved. No row for all others.
WITH late AS (
    UPDATE group_order AS g
    SET status = 'PAID', paid_at = $3, stray = true, late_for = g.group_id, group_id = NULL, slot = NULL
    FROM orders AS o
    WHERE g.order_id = $1 AND g.status = 'CANCELED' AND g.join_other
        AND o.order_id = g.order_id AND o.status = 'CANCELED' AND o.close_reason = ANY($2::text[])
    RETURNING g.order_id
), due AS (
    UPDATE pay_order AS p SET status = 'UNPAID' FROM late
    WHERE p.order_id = late.order_id AND p.due_number = 1 AND p.status = 'CLOSED'
), line AS (
    UPDATE order_line AS l SET reserve_on = 'group' FROM late WHERE l.order_id = late.order_id
)
UPDATE orders AS o SET status = 'NOT_PAID', closed_at = NULL, close_reason = NULL FROM late
WHERE o.order_id = late.order_id
RETURNING o.order_id;

-- name: lock_strays
-- Those of these orders, which are locked, that are strays still, and whether they may have a place in another
-- group: their money came too late, and they have agreed.
SELECT g.order_id, g.campaign_id, g.campaign_item_id, g.buyer_id, g.quantity, g.late_for, o.payable_minor, o.created_at,
    g.join_other AND g.group_id IS NULL AS may_join
FROM group_order AS g JOIN orders AS o USING (order_id)
WHERE g.order_id = ANY($1::bigint[]) AND g.stray ORDER BY g.order_id FOR UPDATE OF g;

-- name: groups_with_places
-- Open groups of these campaigns that have a free slot at $2: of each the $3 nearest to full.
SELECT group_id FROM (
    SELECT b.group_id, row_number() OVER (PARTITION BY b.campaign_id ORDER BY b.slots - m.n, b.ends_at, b.group_id) AS place
    FROM buy_group AS b
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM group_order AS g
        WHERE g.group_id = b.group_id AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS m
    WHERE b.campaign_id = ANY($1::bigint[]) AND b.status = 'OPEN' AND b.ends_at > $2 AND m.n < b.slots) AS ranked
WHERE place <= $3;

-- name: place_strays<!
-- Strays have a place in these slots; their groups' counts, as `confirm_members`.
WITH placed AS (
    UPDATE group_order AS g SET group_id = p.group_id, slot = p.slot, stray = false
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[]) AS p (order_id, group_id, slot)
    WHERE g.order_id = p.order_id AND g.stray
    RETURNING g.group_id
)
UPDATE buy_group AS b
SET members_paid = members_paid + n, version = version + n + (members_paid + n = slots - 1)::integer,
    slots_version = slots_version + 1
FROM (SELECT group_id, count(*)::integer AS n FROM placed GROUP BY group_id) AS p WHERE b.group_id = p.group_id
RETURNING b.group_id, b.version, b.slots - b.members_paid AS slots_left;

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

-- name: unpaid_with_attempts
-- Members of these groups who have not paid, as far as is known, and who have tried to.
SELECT order_id FROM group_order AS g WHERE group_id = ANY($1::bigint[]) AND status = 'UNPAID'
    AND EXISTS (SELECT FROM payment_order AS p WHERE p.order_id = g.order_id);

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
SELECT b.group_id, b.slots, b.members_paid, b.ends_at, b.ended_early, c.complete_from_bp, c.status AS campaign_status, c.ended_at,
    c.ends_at AS campaign_ends_at
FROM buy_group AS b JOIN campaign AS c USING (campaign_id)
WHERE b.group_id = ANY($1::bigint[]) AND b.status = 'OPEN' ORDER BY b.group_id FOR UPDATE OF b;

-- name: retry_group!
-- It could not be settled: it is tried again at $2.
UPDATE buy_group SET retry_at = $2 WHERE group_id = $1 AND status = 'OPEN';

-- name: end_early<!
-- An open group takes nobody any more, and fails once its grace is over unless it is full by then. No row where it
-- has ended, or will fail already.
UPDATE buy_group SET ends_at = least(ends_at, $2), ended_early = true, slots_version = slots_version + 1
WHERE group_id = $1 AND status = 'OPEN' AND NOT ended_early
RETURNING group_id;

-- name: read_status
-- Where a group is.
SELECT status FROM buy_group WHERE group_id = $1;

-- name: lock_orders!
-- Lock these orders in the global order.
SELECT order_id FROM orders WHERE order_id = ANY($1::bigint[]) ORDER BY order_id FOR UPDATE;

-- name: settle_groups<!
-- The guarded end of groups: status, why it failed, whether it succeeded short.
UPDATE buy_group AS b SET status = e.status, settled_at = $5, fail_reason = e.reason, completed_short = e.short,
    stock_locked = false, version = b.version + 1, slots_version = b.slots_version + 1
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

-- name: refunded_group_orders<!
-- Their money has gone back: each with its group, that it was late for or would have started, and a version of
-- that. A group that never came into being has this one event.
WITH member AS (
    UPDATE group_order SET status = 'REFUNDED' WHERE order_id = ANY($1::bigint[]) AND status = 'REFUNDING'
    RETURNING order_id, buyer_id, coalesce(group_id, late_for, order_id) AS group_id
), locked AS MATERIALIZED (
    SELECT group_id FROM buy_group WHERE group_id = ANY(ARRAY(SELECT group_id FROM member)) ORDER BY group_id FOR UPDATE
), told AS (
    UPDATE buy_group AS b SET version = version + n
    FROM (SELECT group_id, count(*)::integer AS n FROM member JOIN locked USING (group_id) GROUP BY group_id) AS m
    WHERE b.group_id = m.group_id
    RETURNING b.group_id, b.version
)
SELECT m.order_id, m.buyer_id, m.group_id,
    coalesce(t.version, 1) + 1 - row_number() OVER (PARTITION BY m.group_id ORDER BY m.order_id DESC) AS version
FROM member AS m LEFT JOIN told AS t USING (group_id) ORDER BY m.order_id;

-- name: read_strays
-- Members without a group, whose money has been captured (or who had nothing to pay); none that somebody has locked.
SELECT g.order_id, g.campaign_id, g.buyer_id, g.join_other, g.quantity FROM group_order AS g
JOIN pay_order AS p ON p.order_id = g.order_id AND p.due_number = 1
WHERE g.stray AND (p.captured_minor > 0 OR p.amount_minor = 0)
ORDER BY g.order_id LIMIT $1 FOR UPDATE OF g SKIP LOCKED;
