-- name: read_destinations
-- Many addresses, each with its buyer and whether the blocklist has either.
SELECT buyer_id, address_id, region, blocked, snapshot FROM destination WHERE address_id = ANY($1::bigint[]);
