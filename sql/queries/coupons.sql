-- name: coupons_of_buyers
-- What each buyer could ask for: all that can be used first, then what was used or ended lately.
SELECT buyers.buyer_id, held.* FROM unnest($1::text[]) AS buyers (buyer_id)
CROSS JOIN LATERAL (
    SELECT coupon_id, template_id, status, valid_from, valid_to FROM coupon
    WHERE coupon.buyer_id = buyers.buyer_id AND valid_to > $2::timestamptz - interval '30 days'
    ORDER BY (status = 'available' AND valid_to > $2) DESC, coupon_id DESC LIMIT $3) AS held;
