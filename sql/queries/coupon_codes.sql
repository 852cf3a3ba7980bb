-- name: find_codes
-- What these codes are: shared, one-time, or an invitation of a template that still invites; one that is
-- several at once is the first.
SELECT * FROM (
    SELECT 1 AS place, code, template_id, false AS is_one_time, NULL::bigint AS coupon_id,
        NULL::text AS inviter_id, NULL::text AS inviter_template_id
    FROM coupon_template WHERE code = ANY($1::text[])
    UNION ALL
    SELECT 2, code, template_id, true, coupon_id, NULL, NULL FROM coupon_code WHERE code = ANY($1)
    UNION ALL
    SELECT 3, c.code, template_id, false, NULL, c.buyer_id, document -> 'invite' ->> 'inviter_template_id'
    FROM coupon_invite_code AS c JOIN coupon_template USING (template_id)
    WHERE c.code = ANY($1) AND document -> 'invite' ->> 'inviter_template_id' IS NOT NULL
) AS found ORDER BY place;

-- name: lock_codes
-- One-time codes that are about to be redeemed; of two buyers who come with one the second waits here.
SELECT code FROM coupon_code WHERE code = ANY($1::text[]) ORDER BY code FOR UPDATE;

-- name: use_codes!
-- Each one-time code became its coupon.
UPDATE coupon_code SET coupon_id = became
FROM unnest($1::text[], $2::bigint[]) AS u (used, became) WHERE code = used;

-- name: read_invited
-- Which of these buyers have come by somebody's code before.
SELECT template_id, buyer_id FROM coupon_invite
WHERE (template_id, buyer_id) IN (SELECT * FROM unnest($1::text[], $2::text[]));

-- name: add_invites!
-- Buyers who came by a code, with the coupons that both got.
INSERT INTO coupon_invite (template_id, buyer_id, inviter_id, coupon_id, inviter_coupon_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]);
