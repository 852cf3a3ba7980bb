-- name: insert_address<!
-- Keep a new address; no row when the buyer has as many as may be. (Two calls at once may pass the limit by
-- one: it bounds the list, it is not a promise.)
INSERT INTO address (address_id, buyer_id, name, phone, country, region, city, street, postcode,
                     phone_digits, created_at, updated_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11
WHERE (SELECT count(*) FROM address WHERE buyer_id = $2) < $12
RETURNING address_id;

-- name: update_address<!
-- Change an address of the buyer; no row when it is nobody's or somebody else's.
UPDATE address
SET name = $3, phone = $4, country = $5, region = $6, city = $7, street = $8, postcode = $9, phone_digits = $10,
    updated_at = $11
WHERE address_id = $1 AND buyer_id = $2
RETURNING address_id;

-- name: list_addresses
-- A buyer's addresses after a cursor.
SELECT address_id::text AS address_id, name, phone, country, region, city, street, postcode
FROM address WHERE buyer_id = $1 AND address_id > $2 ORDER BY address_id LIMIT $3;

-- name: why_blocked
-- The first entry of the blocklist that fits this buyer, these digits of a phone, these regions.
SELECT kind FROM blocked_address
WHERE (kind = 'buyer' AND value = $1) OR (kind = 'phone' AND value = $2)
    OR (kind = 'region' AND value = ANY($3::text[]))
ORDER BY kind LIMIT 1;

-- name: block!
-- Put on the blocklist.
INSERT INTO blocked_address (kind, value, reason) VALUES ($1, $2, $3)
ON CONFLICT (kind, value) DO UPDATE SET reason = excluded.reason;

-- name: unblock!
-- Take off the blocklist.
DELETE FROM blocked_address WHERE kind = $1 AND value = $2;

-- name: list_blocked
-- The blocklist of one kind after a cursor.
SELECT kind, value, reason FROM blocked_address WHERE kind = $1 AND value > $2 ORDER BY value LIMIT $3;

-- name: read_regions
-- Where these addresses are, and whose they are.
SELECT buyer_id, address_id, country, region FROM address WHERE address_id = ANY($1::bigint[]);
