-- As audit.sql: each statement returns the violations of one rule as (id, why), at most 1000.

-- name: coupons_and_orders
-- A coupon is locked by an unpaid order, used by a paid one, and otherwise free.
SELECT c.coupon_id::text AS id,
       format('%s, its order %s is %s', c.status, c.order_id, coalesce(o.status, 'missing')) AS why
FROM coupon AS c LEFT JOIN orders AS o ON o.order_id = c.order_id
WHERE c.order_id IS NOT NULL
  AND (o.order_id IS NULL OR o.parent_id IS NOT NULL OR o.buyer_id <> c.buyer_id
       OR c.status <> CASE WHEN o.status = 'NOT_PAID' THEN 'locked'
                           WHEN o.status = 'CANCELED' THEN 'available' ELSE 'used' END)
LIMIT 1000;

-- name: coupons_spent_once
-- A coupon lowers the price of one live order, the one that holds it; one that was refunded whole may give it back.
SELECT s.rule_id AS id,
       format('lowers order %s, held by %s', s.root_id, coalesce(c.order_id::text, 'none')) AS why
FROM (SELECT DISTINCT d ->> 'rule_id' AS rule_id, coalesce(o.parent_id, o.order_id) AS root_id
      FROM order_line AS l JOIN orders AS o USING (order_id), jsonb_array_elements(l.discounts) AS d
      WHERE l.coupon_discount_minor > 0 AND d ->> 'kind' = 'coupon' AND o.status <> 'CANCELED') AS s
LEFT JOIN coupon AS c ON c.coupon_id::text = s.rule_id
LEFT JOIN coupon_template AS t USING (template_id)
LEFT JOIN pay_order AS d ON d.order_id = s.root_id
WHERE c.order_id IS DISTINCT FROM s.root_id
  AND (d.status, t.document ->> 'return_on') IS DISTINCT FROM ('REFUNDED', 'refund')
LIMIT 1000;

-- name: coupons_granted
-- A template has given out as many coupons as it counts, and no more than it has.
SELECT t.template_id AS id,
       format('given %s, counted %s of %s', coalesce(c.given, 0), t.granted_count, t.quantity_total) AS why
FROM coupon_template AS t
LEFT JOIN (SELECT template_id, count(*) AS given FROM coupon GROUP BY template_id) AS c USING (template_id)
WHERE t.granted_count <> coalesce(c.given, 0) OR c.given > t.quantity_total
LIMIT 1000;

-- name: coupons_of_buyers
-- What counts as a buyer's coupons of a template is what the buyer was given, and no more than was allowed.
SELECT format('%s %s', template_id, buyer_id) AS id,
       format('given %s, counted %s, allowed %s', coalesce(c.given, 0), coalesce(b.quantity, 0),
              coalesce(b.per_buyer_max::text, 'any')) AS why
FROM coupon_claim AS b
FULL JOIN (SELECT template_id, buyer_id, count(*) AS given FROM coupon GROUP BY template_id, buyer_id) AS c
    USING (template_id, buyer_id)
WHERE coalesce(c.given, 0) <> coalesce(b.quantity, 0) OR b.quantity > b.per_buyer_max
LIMIT 1000;

-- name: codes_and_coupons
-- A one-time code brought a coupon of its own template.
SELECT k.code AS id, format('coupon %s is of %s', k.coupon_id, coalesce(c.template_id, 'nowhere')) AS why
FROM coupon_code AS k LEFT JOIN coupon AS c USING (coupon_id)
WHERE k.coupon_id IS NOT NULL AND c.template_id IS DISTINCT FROM k.template_id
LIMIT 1000;

-- name: coupon_invites
-- Who was invited has the coupon of it, and the inviter, who is another, at most one for it.
SELECT format('%s %s', i.template_id, i.buyer_id) AS id,
       format('invited by %s: coupon %s of %s, reward %s of %s', i.inviter_id, i.coupon_id,
              coalesce(c.buyer_id, 'nobody'), i.inviter_coupon_id, coalesce(r.buyer_id, 'nobody')) AS why
FROM coupon_invite AS i
LEFT JOIN coupon AS c ON c.coupon_id = i.coupon_id
LEFT JOIN coupon AS r ON r.coupon_id = i.inviter_coupon_id
WHERE (c.buyer_id, c.template_id) IS DISTINCT FROM (i.buyer_id, i.template_id)
   OR (i.inviter_coupon_id IS NOT NULL AND r.buyer_id IS DISTINCT FROM i.inviter_id)
   OR i.buyer_id = i.inviter_id
LIMIT 1000;

-- name: keys_and_coupons
-- A key of a claim has its answer and its coupon, and no two keys have the same one.
SELECT encode(k.digest, 'hex') AS id, format('its coupon %s is missing, or is that of another key', k.coupon_id) AS why
FROM (SELECT digest, caller_id, coupon_id, count(*) OVER (PARTITION BY coupon_id) AS keys
      FROM (SELECT digest, caller_id, CASE WHEN status = 200 THEN
                (convert_from(response, 'UTF8')::jsonb ->> 'coupon_id')::bigint END AS coupon_id
            FROM idempotency WHERE call = 'coupon/claim') AS answered) AS k
LEFT JOIN coupon AS c USING (coupon_id)
WHERE c.buyer_id IS DISTINCT FROM k.caller_id OR k.keys > 1
LIMIT 1000;

-- name: waiting_coupons
-- Coupons expire when their time is over.
SELECT coupon_id::text AS id, format('over since %s', valid_to) AS why
FROM coupon WHERE status = 'available' AND valid_to < $1
LIMIT 1000;
