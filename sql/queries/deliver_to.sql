-- name: read_addresses
-- Many addresses, each with its buyer.
SELECT buyer_id, address_id, name, phone, country, region, city, street, postcode
FROM address WHERE address_id = ANY($1::bigint[]);

-- name: read_blocks
-- Which of these entries the blocklist has.
SELECT kind, value FROM blocked_address
WHERE (kind, value) IN (SELECT * FROM unnest($1::text[], $2::text[]));
