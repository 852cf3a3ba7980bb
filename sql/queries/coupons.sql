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

-- name: template_of_code
-- The template that a shared code belongs to.
SELECT template_id FROM coupon_template WHERE code = $1;

-- name: lock_code
-- A one-time code; of two buyers who redeem it at once the second waits here.
SELECT template_id, coupon_id FROM coupon_code WHERE code = $1 FOR UPDATE;

-- name: use_code!
-- A one-time code became this coupon.
UPDATE coupon_code SET coupon_id = $2 WHERE code = $1;

-- name: lock_template
-- A template whose coupons are being given out: its count is one row, so givers wait for each other.
SELECT shop_id, document, granted_count FROM coupon_template WHERE template_id = $1 FOR UPDATE;

-- name: count_claims<!
-- One coupon more for each of these buyers; gives how many each has had.
INSERT INTO coupon_claim (template_id, buyer_id, quantity)
SELECT $1, buyer_id, 1 FROM unnest($2::text[]) AS b (buyer_id) ORDER BY buyer_id
ON CONFLICT (template_id, buyer_id) DO UPDATE SET quantity = coupon_claim.quantity + 1
RETURNING buyer_id, quantity;

-- name: add_coupons!
-- Put coupons into buyers' hands.
INSERT INTO coupon (coupon_id, template_id, buyer_id, valid_from, valid_to)
SELECT coupon_id, $1, buyer_id, $4, $5 FROM unnest($2::bigint[], $3::text[]) AS c (coupon_id, buyer_id);

-- name: count_granted!
-- So many more of a template have been given out.
UPDATE coupon_template SET granted_count = granted_count + $2 WHERE template_id = $1;

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
-- The orders' coupons can be used again.
UPDATE coupon SET status = 'available', order_id = NULL
WHERE coupon_id IN (SELECT coupon_id FROM coupon WHERE order_id = ANY($1::bigint[]) AND status = 'locked'
                    ORDER BY coupon_id FOR UPDATE)
RETURNING buyer_id;
