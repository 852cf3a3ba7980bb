-- As audit.sql: each statement returns the violations of one rule as (id, why), at most 1000.

-- name: groups_and_slots
-- A group has no more members than slots, one slot a buyer, and counts those who have paid.
SELECT b.group_id::text AS id,
       format('%s: %s slots, %s members of %s buyers in %s slots, %s counted as paid, %s have', b.status, b.slots, m.members,
              m.buyers, m.taken, b.members_paid, m.paid) AS why
FROM buy_group AS b
LEFT JOIN LATERAL (
    SELECT count(*) AS members, count(DISTINCT buyer_id) AS buyers, count(DISTINCT slot) AS taken, max(slot) AS highest,
           count(*) FILTER (WHERE status IN ('PAID', 'SUCCEEDED')) AS paid
    FROM group_order AS g WHERE g.group_id = b.group_id AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS m ON true
WHERE m.members > b.slots OR m.buyers < m.members OR m.taken < m.members OR m.highest > b.slots
   OR b.status = 'OPEN' AND m.paid <> b.members_paid
LIMIT 1000;

-- name: groups_and_campaigns
-- What groups of a campaign have sold is no more than the stock that it was given.
SELECT i.campaign_item_id::text AS id, format('sold %s of %s', s.sold, i.total_stock) AS why
FROM campaign_item AS i
JOIN (SELECT campaign_item_id, sum(g.quantity) AS sold FROM group_order AS g JOIN orders AS o USING (order_id)
      WHERE g.status = 'SUCCEEDED' AND o.status <> 'CLOSED' GROUP BY campaign_item_id) AS s USING (campaign_item_id)
WHERE s.sold > i.total_stock
LIMIT 1000;

-- name: members_of_settled_groups
-- In a group that succeeded every member has the order or the refund; in one that failed the refund.
SELECT g.order_id::text AS id, format('%s in a group that %s', g.status, b.status) AS why
FROM group_order AS g JOIN buy_group AS b USING (group_id)
WHERE g.status IN ('UNPAID', 'PAID') AND b.status <> 'OPEN' AND NOT g.stray
   OR g.status = 'SUCCEEDED' AND b.status <> 'SUCCEEDED'
   OR g.status IN ('REFUNDING', 'REFUNDED') AND NOT EXISTS (SELECT FROM refund AS r WHERE r.order_id = g.order_id)
LIMIT 1000;

-- name: group_orders_and_orders
-- A group order and its order say the same, and only a group that has succeeded makes a trade order.
SELECT o.order_id::text AS id, format('order %s, group order %s, trade order %s', o.status, coalesce(g.status, 'none'),
       o.out_id) AS why
FROM orders AS o LEFT JOIN group_order AS g USING (order_id)
WHERE o.mode = 'group' AND (
    g.order_id IS NULL
    OR (o.out_id IS NOT NULL) <> (g.status = 'SUCCEEDED') OR o.out_id <> o.order_id
    OR CASE g.status
        WHEN 'UNPAID' THEN o.status <> 'NOT_PAID'
        WHEN 'CANCELED' THEN o.status <> 'CANCELED'
        WHEN 'PAID' THEN o.status <> 'PENDING_GROUP'
        WHEN 'REFUNDING' THEN o.status <> 'PENDING_GROUP'
        WHEN 'REFUNDED' THEN o.status <> 'CLOSED'
        ELSE o.status IN ('NOT_PAID', 'PENDING_GROUP', 'CANCELED') END)
LIMIT 1000;

-- name: waiting_groups
-- A group is settled soon after it is full or over, or its campaign withdrawn; so is who paid for none.
SELECT group_id::text AS id, format('open: %s of %s paid, ends at %s, campaign %s', members_paid, slots, b.ends_at, c.status)
    AS why
FROM buy_group AS b JOIN campaign AS c USING (campaign_id)
WHERE b.status = 'OPEN' AND (b.ends_at + interval '15 seconds' < $1
    OR c.status = 'ENDED' AND c.ended_at < $1
    OR members_paid = slots AND $1 > (SELECT max(paid_at) FROM group_order AS g WHERE g.group_id = b.group_id))
UNION ALL
SELECT order_id::text, 'paid, and without a group' FROM group_order WHERE stray AND paid_at < $1
LIMIT 1000;

-- name: waiting_campaigns
-- Campaigns begin and end when their time has come; one that ends waits for its groups, one that cannot begin says why.
SELECT campaign_id::text AS id, format('%s, from %s until %s', status, starts_at, ends_at) AS why
FROM campaign AS c
WHERE status = 'PUBLISHED' AND ends_at + interval '15 seconds' < $1
    AND NOT EXISTS (SELECT FROM buy_group AS b WHERE b.campaign_id = c.campaign_id AND b.status = 'OPEN')
    OR status IN ('DRAFT', 'SUBMITTED', 'REJECTED') AND ends_at < $1
    OR status = 'SUBMITTED' AND starts_at < $1
    AND NOT EXISTS (SELECT FROM campaign_item AS i WHERE i.campaign_id = c.campaign_id AND audit <> 'PASSED')
    AND NOT EXISTS (SELECT FROM campaign_decision AS d WHERE d.campaign_id = c.campaign_id
        AND (action = 'not_published' OR at >= $1))
LIMIT 1000;
