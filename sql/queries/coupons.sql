-- name: coupons_of_buyers
-- What each buyer could ask for: all that can be used first, then what was used or ended lately.
SELECT buyers.buyer_id, held.* FROM unnest($1::text[]) AS buyers (buyer_id)
CROSS JOIN LATERAL (
    SELECT coupon_id, template_id, status, valid_from, valid_to FROM coupon
    WHERE coupon.buyer_id = buyers.buyer_id AND valid_to > $2::timestamptz - interval '30 days'
    ORDER BY (status = 'available' AND valid_to > $2) DESC, coupon_id DESC LIMIT $3) AS held;

-- name: upsert_template<!
-- Create or change a template; no row when nothing is different.
INSERT INTO coupon_template (template_id, shop_id, document, code, quantity_total, version)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (template_id) DO UPDATE
    SET shop_id = excluded.shop_id, document = excluded.document, code = excluded.code,
        quantity_total = excluded.quantity_total, version = excluded.version
    WHERE coupon_template.document IS DISTINCT FROM excluded.document
RETURNING template_id;

-- name: read_template
-- One template.
SELECT template_id, shop_id, document, granted_count FROM coupon_template WHERE template_id = $1;

-- name: list_templates
-- Templates after a cursor, of one shop or of all.
SELECT template_id, document, granted_count FROM coupon_template
WHERE template_id > $1 AND ($2::text IS NULL OR shop_id = $2) ORDER BY template_id LIMIT $3;

-- name: count_codes
-- How many one-time codes a template has.
SELECT count(*) FROM coupon_code WHERE template_id = $1;

-- name: add_codes!
-- More one-time codes.
INSERT INTO coupon_code (code, template_id) SELECT unnest($2::text[]), $1;

-- name: list_codes
-- One-time codes after a cursor.
SELECT code, coupon_id IS NOT NULL AS redeemed FROM coupon_code
WHERE template_id = $1 AND code > $2 ORDER BY code LIMIT $3;

-- name: read_invitation
-- A buyer's own code of a template, and what came of it.
SELECT code, (SELECT count(*) FROM coupon_invite AS i
              WHERE (i.template_id, i.inviter_id) = (c.template_id, c.buyer_id)) AS invited_count,
    (SELECT count(inviter_coupon_id) FROM coupon_invite AS i
     WHERE (i.template_id, i.inviter_id) = (c.template_id, c.buyer_id)) AS rewarded_count
FROM coupon_invite_code AS c WHERE template_id = $1 AND buyer_id = $2;

-- name: add_invite_code!
-- A buyer's own code, once a template.
INSERT INTO coupon_invite_code (code, template_id, buyer_id) VALUES ($1, $2, $3)
ON CONFLICT (template_id, buyer_id) DO NOTHING;

-- name: lock_templates
-- Templates whose coupons are being given out: a count is one row, so givers wait for each other.
SELECT template_id, shop_id, document, granted_count FROM coupon_template
WHERE template_id = ANY($1::text[]) ORDER BY template_id FOR UPDATE;

-- name: read_templates
-- The same templates as they are now.
SELECT template_id, shop_id, document, granted_count FROM coupon_template WHERE template_id = ANY($1::text[]);

-- name: read_claims
-- How many coupons of a template each of these buyers has had.
SELECT template_id, buyer_id, quantity FROM coupon_claim
WHERE (template_id, buyer_id) IN (SELECT * FROM unnest($1::text[], $2::text[]));

-- name: write_coupons!
-- Put coupons into buyers' hands, count them for each buyer, and for each template once.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::integer[])
        AS g (coupon_id, template_id, buyer_id, valid_from, valid_to, per_buyer_max)
), coupons AS (
    INSERT INTO coupon (coupon_id, template_id, buyer_id, valid_from, valid_to)
    SELECT coupon_id, template_id, buyer_id, valid_from, valid_to FROM given
), claims AS (
    INSERT INTO coupon_claim (template_id, buyer_id, quantity, per_buyer_max)
    SELECT template_id, buyer_id, count(*), min(per_buyer_max) FROM given
    GROUP BY template_id, buyer_id ORDER BY template_id, buyer_id
    ON CONFLICT (template_id, buyer_id) DO UPDATE
        SET quantity = coupon_claim.quantity + excluded.quantity, per_buyer_max = excluded.per_buyer_max
)
UPDATE coupon_template AS t SET granted_count = granted_count + g.quantity
FROM (SELECT template_id, count(*) AS quantity FROM given GROUP BY template_id) AS g
WHERE t.template_id = g.template_id;

-- name: read_granted_count
-- How many coupons of a template have been given out.
SELECT granted_count FROM coupon_template WHERE template_id = $1;

-- name: read_granted_counts
-- The same of many templates.
SELECT template_id, granted_count FROM coupon_template WHERE template_id = ANY($1::text[]);

-- name: read_gate_facts
-- What the gate should hold of these templates: how many were given, and how many buyers have had any.
SELECT template_id, granted_count,
    (SELECT count(*) FROM coupon_claim AS c WHERE c.template_id = t.template_id) AS holders
FROM coupon_template AS t WHERE template_id = ANY($1::text[]);

-- name: read_holders
-- Who has had coupons of a template, and how many, after a buyer.
SELECT buyer_id, quantity FROM coupon_claim WHERE template_id = $1 AND buyer_id > $2 ORDER BY buyer_id LIMIT $3;

-- name: list_coupons
-- A buyer's coupons, the newest first, from a cursor on; `expired` is what time has made of an available one.
SELECT coupon_id::text, template_id, document ->> 'name' AS name, valid_from, valid_to,
    CASE WHEN status = 'available' AND valid_to <= $2 THEN 'expired' ELSE status END AS status
FROM coupon JOIN coupon_template USING (template_id)
WHERE buyer_id = $1 AND coupon_id < $3 ORDER BY coupon_id DESC LIMIT $4;

-- name: lock_coupons
-- The coupons that orders ask for, in order of their ids.
SELECT coupon_id, buyer_id, status, valid_from, valid_to FROM coupon
WHERE coupon_id = ANY($1::bigint[]) ORDER BY coupon_id FOR UPDATE;

-- name: lock_coupons_to_orders!
-- Each coupon waits for its order to be paid.
UPDATE coupon SET status = 'locked', order_id = taken_by
FROM unnest($1::bigint[], $2::bigint[]) AS t (id, taken_by) WHERE coupon_id = id;

-- name: use_coupons<!
-- The orders' coupons are spent.
UPDATE coupon SET status = 'used'
WHERE coupon_id IN (SELECT coupon_id FROM coupon WHERE order_id = ANY($1::bigint[]) AND status = 'locked'
                    ORDER BY coupon_id FOR UPDATE)
RETURNING buyer_id;

-- name: return_coupons<!
-- What unpaid orders held can be used again; where its time is over meanwhile, it has expired.
UPDATE coupon SET status = CASE WHEN valid_to > $2 THEN 'available' ELSE 'expired' END, order_id = NULL
WHERE coupon_id IN (SELECT coupon_id FROM coupon WHERE order_id = ANY($1::bigint[]) AND status = 'locked'
                    ORDER BY coupon_id FOR UPDATE)
RETURNING buyer_id;

-- name: return_refunded_coupons<!
-- The same for a paid order, for the coupons whose template wants them back after a refund.
UPDATE coupon SET status = CASE WHEN valid_to > $2 THEN 'available' ELSE 'expired' END, order_id = NULL
WHERE coupon_id IN (SELECT coupon_id FROM coupon JOIN coupon_template USING (template_id)
                    WHERE order_id = $1 AND status = 'used' AND document ->> 'return_on' = 'refund'
                    ORDER BY coupon_id FOR UPDATE OF coupon)
RETURNING buyer_id;

-- name: expire_coupons<!
-- Coupons whose time is over, the longest over first.
UPDATE coupon SET status = 'expired'
WHERE coupon_id IN (SELECT coupon_id FROM coupon WHERE status = 'available' AND valid_to <= $1
                    ORDER BY valid_to LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING buyer_id;
