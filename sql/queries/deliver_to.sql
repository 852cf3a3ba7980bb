-- name: read_addresses
-- Many addresses, each with its buyer and whether the blocklist has either.
SELECT buyer_id, address_id, name, phone, country, region, city, street, postcode,
    EXISTS (SELECT FROM blocked_address AS b WHERE (b.kind, b.value) IN
        (('buyer', a.buyer_id), ('phone', a.phone_digits), ('region', a.region), ('region', a.country))) AS blocked
FROM address AS a WHERE address_id = ANY($1::bigint[]);
