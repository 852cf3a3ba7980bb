-- name: try_lead
-- Become the one relay, until this session ends.
SELECT pg_try_advisory_lock(hashtext('rushcart relay'));

-- name: stop_leading!
-- Let another one be the relay.
SELECT pg_advisory_unlock(hashtext('rushcart relay'));

-- name: read_unexported
-- The next events that a reader has not had. Not beyond the oldest transaction that still runs: it may yet
-- commit events that belong before.
SELECT o.transaction_id::text AS transaction_id, o.event_id, o.topic, o.aggregate_id, o.aggregate_version,
       o.payload::text AS payload, o.created_at
FROM outbox_cursor AS c, outbox AS o
WHERE c.reader = $1 AND (o.transaction_id, o.event_id) > (c.transaction_id, c.event_id)
  AND o.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY o.transaction_id, o.event_id LIMIT $2;

-- name: move_reader!
-- A reader has had everything up to here; never back.
UPDATE outbox_cursor SET transaction_id = $2::text::xid8, event_id = $3
WHERE reader = $1 AND (transaction_id, event_id) < ($2::text::xid8, $3);

-- name: measure_lag
-- The age in seconds of the oldest event that a reader has not had.
SELECT extract(epoch FROM clock_timestamp() - o.created_at)::float8
FROM outbox_cursor AS c, outbox AS o
WHERE c.reader = $1 AND (o.transaction_id, o.event_id) > (c.transaction_id, c.event_id)
ORDER BY o.transaction_id, o.event_id LIMIT 1;

-- name: prune_exported<!
-- Delete events older than $1 that every reader has had.
DELETE FROM outbox WHERE event_id IN (
    SELECT event_id FROM (
        SELECT o.event_id, o.created_at
        FROM (SELECT transaction_id, event_id FROM outbox_cursor ORDER BY 1, 2 LIMIT 1) AS slowest, outbox AS o
        WHERE (o.transaction_id, o.event_id) <= (slowest.transaction_id, slowest.event_id)
        ORDER BY o.transaction_id, o.event_id LIMIT $2) AS oldest
    WHERE created_at < $1)
RETURNING event_id;
