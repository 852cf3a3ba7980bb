-- name: campaigns_version
-- How far the snapshot of the campaigns has come.
SELECT version FROM snapshot_version WHERE name = 'campaigns';

-- name: campaigns_since
-- Campaigns that changed after a version; at the start (version 0) those that are published.
SELECT campaign_id FROM campaign WHERE snapshot_version > $1 AND ($1 > 0 OR status = 'PUBLISHED');

-- name: read_campaigns
-- Campaigns whole, with all that they sell.
SELECT c.campaign_id, c.shop_id, c.item_id, c.name, c.status, c.listed, c.starts_at, c.ends_at, c.published_at,
    c.orders_to_succeed, c.group_open_s, c.per_buyer_max, c.per_order_max, c.groups_at_once_max, c.stock_policy,
    c.complete_from_bp, (SELECT jsonb_agg(to_jsonb(i)) FROM campaign_item AS i WHERE i.campaign_id = c.campaign_id) AS items
FROM campaign AS c WHERE c.campaign_id = ANY($1::bigint[]);

-- name: campaign_of_item
-- The campaign that sells this, whatever its state.
SELECT campaign_id FROM campaign_item WHERE campaign_item_id = $1;

-- name: stock_left
-- What is free in these pools; none of those that sell nothing.
SELECT pool_id, on_hand - reserved AS quantity_left FROM stock_pool
WHERE pool_id = ANY($1::bigint[]) AND NOT closed AND on_hand > reserved;

-- name: waiting_groups
-- Groups of these campaigns that wait for members at $4, the newest first: below an id, at most so many of each.
SELECT asked.number, waiting.*
FROM unnest($1::bigint[], $2::bigint[], $3::integer[]) WITH ORDINALITY AS asked (campaign_id, before_id, most, number),
LATERAL (
    SELECT b.group_id, b.slots, b.slots - living.members AS places_left, b.started_at, b.ends_at, b.share_code
    FROM buy_group AS b, LATERAL (
        SELECT count(*)::integer AS members FROM group_order AS g
        WHERE g.group_id = b.group_id AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS living
    WHERE b.campaign_id = asked.campaign_id AND b.status = 'OPEN' AND b.group_id < asked.before_id AND b.ends_at > $4
        AND living.members < b.slots
    ORDER BY b.group_id DESC LIMIT asked.most) AS waiting
ORDER BY asked.number, waiting.group_id DESC;

-- name: current_slots
-- The home page's places as they are now.
SELECT version, document, by_id, at FROM home_slots ORDER BY version DESC LIMIT 1;

-- name: slots_before
-- What the places were, before a version, the newest first.
SELECT version, document, by_id, at FROM home_slots WHERE version < $1 ORDER BY version DESC LIMIT $2;

-- name: insert_slots!
INSERT INTO home_slots (version, document, by_id, at) VALUES ($1, $2, $3, $4);

-- name: campaigns_listed
-- Which of these campaigns there are, and whether everyone may find them.
SELECT campaign_id, listed FROM campaign WHERE campaign_id = ANY($1::bigint[]);
