-- name: insert_campaign!
-- A draft.
INSERT INTO campaign (campaign_id, shop_id, item_id, name, listed, starts_at, ends_at, orders_to_succeed, group_open_s,
    per_buyer_max, per_order_max, groups_at_once_max, stock_policy, complete_from_bp, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: update_campaign!
-- Change what is not on sale yet.
UPDATE campaign SET item_id = $2, name = $3, listed = $4, starts_at = $5, ends_at = $6, orders_to_succeed = $7,
    group_open_s = $8, per_buyer_max = $9, per_order_max = $10, groups_at_once_max = $11, stock_policy = $12,
    complete_from_bp = $13, version = version + 1
WHERE campaign_id = $1;

-- name: upsert_items!
-- What the campaign sells. What had been refused is judged anew.
INSERT INTO campaign_item (campaign_item_id, campaign_id, sku_id, session, ticket_category, currency,
    sale_price_minor, settlement_price_minor, total_stock)
SELECT i.id, $1, i.sku_id, i.session, i.ticket_category, i.currency, i.sale, i.settlement, i.total_stock
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[])
    AS i (id, sku_id, session, ticket_category, currency, sale, settlement, total_stock)
ON CONFLICT (campaign_id, sku_id) DO UPDATE
    SET session = excluded.session, ticket_category = excluded.ticket_category, currency = excluded.currency,
        sale_price_minor = excluded.sale_price_minor, settlement_price_minor = excluded.settlement_price_minor,
        total_stock = excluded.total_stock,
        audit = CASE campaign_item.audit WHEN 'REFUSED' THEN 'PENDING' ELSE campaign_item.audit END,
        refuse_reason = NULL;

-- name: delete_other_items!
-- What it does not sell any more.
DELETE FROM campaign_item WHERE campaign_id = $1 AND sku_id <> ALL($2::text[]);

-- name: lock_campaign
-- A campaign as it stands; its row is locked. In a rush somebody shares that row at every moment (lock_for_orders in
-- groups.sql), and whoever comes shares it at once, past who waits for it alone: so both queue for its number before.
WITH turn AS MATERIALIZED (SELECT count(pg_advisory_xact_lock($1::bigint)) AS n)
SELECT c.* FROM campaign AS c WHERE c.campaign_id = $1 AND (SELECT n FROM turn) > 0 FOR UPDATE OF c;

-- name: campaign_of_item
-- Which campaign sells this.
SELECT campaign_id FROM campaign_item WHERE campaign_item_id = $1;

-- name: read_campaigns
-- Campaigns by id, the newest first.
SELECT * FROM campaign WHERE campaign_id = ANY($1::bigint[]) ORDER BY campaign_id DESC;

-- name: read_items
-- What campaigns sell, and what is left in their pools.
SELECT i.*, coalesce(p.on_hand, 0) AS on_hand, coalesce(p.reserved, 0) AS reserved
FROM campaign_item AS i LEFT JOIN stock_pool AS p USING (pool_id)
WHERE campaign_id = ANY($1::bigint[]) ORDER BY campaign_id, campaign_item_id;

-- name: read_decisions
-- What has been done to a campaign, in order.
SELECT campaign_item_id, action, reason, by_role, by_id, at FROM campaign_decision
WHERE campaign_id = $1 ORDER BY decision_id;

-- name: list_campaigns
-- Campaigns before a cursor, the newest first; of one shop or all, in one state or any.
SELECT campaign_id FROM campaign
WHERE campaign_id < $1 AND ($2::text IS NULL OR shop_id = $2) AND ($3::text IS NULL OR status = $3)
ORDER BY campaign_id DESC LIMIT $4;

-- name: record_decisions!
-- Who did what, for each of these items, or once for the campaign where the id is NULL.
INSERT INTO campaign_decision (campaign_id, campaign_item_id, action, reason, by_role, by_id, at)
SELECT $1, i.id, i.action, i.reason, $5, $6, $7
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS i (id, action, reason);

-- name: move_campaign<!
-- The guarded move from one state to another; no row where it is in none of those states.
UPDATE campaign SET status = $2, version = version + 1,
    published_at = CASE WHEN $2 = 'PUBLISHED' THEN $4 ELSE published_at END,
    ended_at = CASE WHEN $2 = 'ENDED' THEN $4 END
WHERE campaign_id = $1 AND status = ANY($3::text[])
RETURNING campaign_id, version;

-- name: touch_campaign!
-- Something of it has changed.
UPDATE campaign SET version = version + 1 WHERE campaign_id = $1;

-- name: stamp_campaign!
-- What is on sale of this campaign has changed with this version of the snapshot.
UPDATE campaign SET snapshot_version = $2 WHERE campaign_id = $1;

-- name: review_items!
-- What the operator says of these items.
UPDATE campaign_item AS i SET audit = d.audit, refuse_reason = d.reason
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS d (id, audit, reason)
WHERE i.campaign_id = $1 AND i.campaign_item_id = d.id;

-- name: open_items!
-- They sell from these pools.
UPDATE campaign_item AS i SET sell_status = 'OPEN', pool_id = p.pool_id
FROM unnest($2::text[], $3::bigint[]) AS p (sku_id, pool_id)
WHERE i.campaign_id = $1 AND i.sku_id = p.sku_id;

-- name: close_items!
-- Nothing of it sells any more.
UPDATE campaign_item SET sell_status = 'CLOSED' WHERE campaign_id = $1;

-- name: set_sell_status!
UPDATE campaign_item SET sell_status = $2 WHERE campaign_item_id = $1;

-- name: set_total_stock!
UPDATE campaign_item SET total_stock = $2 WHERE campaign_item_id = $1;

-- name: campaigns_to_publish
-- Reviewed whole, and their start has come; not those whose stock was not there a moment ago.
SELECT campaign_id FROM campaign AS c
WHERE status = 'SUBMITTED' AND starts_at <= $1 AND ends_at > $1
    AND NOT EXISTS (SELECT FROM campaign_item AS i WHERE i.campaign_id = c.campaign_id AND audit <> 'PASSED')
    AND NOT EXISTS (SELECT FROM campaign_decision AS d
                    WHERE d.campaign_id = c.campaign_id AND action = 'not_published' AND at > $1 - interval '1 minute')
ORDER BY starts_at LIMIT $2;

-- name: campaigns_to_end
-- Their time is over, and that of their groups, too: those that end with the campaign are settled 15 seconds later
-- (GRACE), from its stock.
SELECT campaign_id FROM campaign AS c
WHERE status <> 'ENDED' AND ends_at <= $1 AND (status <> 'PUBLISHED' OR ends_at + interval '15 seconds' <= $1
    AND NOT EXISTS (SELECT FROM buy_group AS b WHERE b.campaign_id = c.campaign_id AND b.status = 'OPEN'))
ORDER BY ends_at LIMIT $2;

-- name: skus_of_item
-- Whose the item is, and those of the SKUs that it has.
SELECT item.shop_id, array_agg(sku_id) FILTER (WHERE sku_id IS NOT NULL) AS sku_ids
FROM item LEFT JOIN sku ON sku.item_id = item.item_id AND sku_id = ANY($2::text[]) AND NOT withdrawn
WHERE item.item_id = $1 GROUP BY item.shop_id;
