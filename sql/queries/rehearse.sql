-- name: newest_roots
-- Of the newest orders at most $2, those placed since $1; ids sort by time, so no more rows than that are read.
SELECT order_id, buyer_id, currency, priced_with FROM (
    SELECT order_id, buyer_id, currency, priced_with, created_at FROM orders
    WHERE parent_id IS NULL ORDER BY order_id DESC LIMIT $2
) AS newest
WHERE created_at >= $1
ORDER BY order_id DESC;
