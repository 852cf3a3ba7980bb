-- name: append_events!
-- Write events, in order.
INSERT INTO outbox (topic, aggregate_id, aggregate_version, payload)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::jsonb[]);
