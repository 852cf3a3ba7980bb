-- name: upsert_buyer!
-- Set a buyer's tags.
INSERT INTO buyer (buyer_id, tags) VALUES ($1, $2)
ON CONFLICT (buyer_id) DO UPDATE SET tags = excluded.tags, updated_at = now()
    WHERE buyer.tags IS DISTINCT FROM excluded.tags;

-- name: read_tags
-- A buyer's tags; no row for one who was never tagged.
SELECT tags FROM buyer WHERE buyer_id = $1;

-- name: standing_of_buyers
-- Many buyers' tags, and whether they have an order that is not canceled.
SELECT a.buyer_id, coalesce(b.tags, '{}') AS tags,
    EXISTS (SELECT FROM orders AS o WHERE o.buyer_id = a.buyer_id AND o.status <> 'CANCELED') AS has_ordered
FROM unnest($1::text[]) AS a (buyer_id) LEFT JOIN buyer AS b USING (buyer_id);
