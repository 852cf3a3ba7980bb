-- name: group_orders_of_buyer
-- A buyer's group orders before a cursor, the newest first; of one state, or one alone.
SELECT g.order_id, g.status, g.campaign_id, g.campaign_item_id, g.group_id, g.slot, g.quantity, o.currency, o.payable_minor,
    o.pay_deadline, o.created_at, o.out_id AS trade_order_id, b.status AS group_status, b.slots AS group_slots,
    b.members_paid AS group_members_paid, b.ends_at AS group_ends_at, b.share_code, c.stock_policy, l.title, l.sku_id,
    (SELECT coalesce(json_agg(json_build_object('row', s.row_name, 'number', s.number) ORDER BY s.rank, s.position), '[]')
     FROM seat AS s WHERE (s.order_id, s.line_id) = (l.order_id, l.line_id)) AS seats
FROM group_order AS g JOIN orders AS o USING (order_id) JOIN order_line AS l USING (order_id)
JOIN campaign AS c USING (campaign_id) LEFT JOIN buy_group AS b USING (group_id)
WHERE g.buyer_id = $1 AND g.order_id < $2 AND ($3::bigint IS NULL OR g.order_id = $3)
    AND ($5::text IS NULL OR g.status = $5)
ORDER BY g.order_id DESC LIMIT $4;

-- name: show_groups
-- Groups as everyone may see them, by id or by share code; of their members the first $3.
SELECT b.group_id, b.campaign_id, b.status, b.slots, b.members_paid, b.completed_short, b.share_code, b.started_at,
    b.ends_at, b.settled_at, b.fail_reason, b.version, c.item_id, c.shop_id, c.name, c.stock_policy,
    c.complete_from_bp, item.title, shop.name AS shop_name, m.members, m.shown_members, i.items
FROM buy_group AS b JOIN campaign AS c USING (campaign_id) JOIN item USING (item_id)
JOIN shop ON shop.shop_id = c.shop_id
CROSS JOIN LATERAL (
    SELECT count(*) AS members,
        coalesce(jsonb_agg(jsonb_build_object('slot', n.slot, 'name', n.buyer_id, 'paid', n.status <> 'UNPAID')
            ORDER BY n.slot) FILTER (WHERE n.nth <= $3), '[]') AS shown_members
    FROM (SELECT slot, buyer_id, status, row_number() OVER (ORDER BY slot) AS nth FROM group_order AS g
          WHERE g.group_id = b.group_id AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS n
) AS m
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('campaign_item_id', o.campaign_item_id::text, 'sku_id', o.sku_id,
        'attributes', s.attributes, 'session', o.session, 'ticket_category', o.ticket_category, 'currency', o.currency,
        'sale_price_minor', o.sale_price_minor, 'sell_status', o.sell_status,
        'single_price_minor', CASE WHEN NOT s.withdrawn THEN s.prices -> o.currency -> 'price_minor' END)
        ORDER BY s.position, o.campaign_item_id), '[]') AS items
    FROM campaign_item AS o JOIN sku AS s USING (sku_id)
    WHERE o.campaign_id = b.campaign_id AND o.pool_id IS NOT NULL
) AS i
WHERE b.group_id = ANY($1::bigint[]) OR b.share_code = $2;

-- name: mark_groups
-- By what a change of these groups is seen.
SELECT b.group_id, b.version, b.ends_at, (SELECT count(*) FROM group_order AS g WHERE g.group_id = b.group_id
    AND g.status IN ('UNPAID', 'PAID', 'SUCCEEDED')) AS members
FROM buy_group AS b WHERE b.group_id = ANY($1::bigint[]);
