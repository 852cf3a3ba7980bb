-- name: try_lead
-- Become the one relay, until this session ends.
SELECT pg_try_advisory_lock(hashtext('rushcart relay'));

-- name: number_new<!
-- Give the next committed events their positions, in the order in which they were written.
UPDATE outbox AS o SET position = n.position
FROM (SELECT event_id, nextval('outbox_positions') AS position
      FROM (SELECT event_id FROM outbox WHERE position IS NULL ORDER BY event_id LIMIT $1) AS found) AS n
WHERE o.event_id = n.event_id AND o.position IS NULL
RETURNING o.event_id;

-- name: read_unexported
-- The next events that a reader has not had.
SELECT o.position, o.event_id, o.topic, o.aggregate_id, o.aggregate_version, o.payload::text AS payload,
       o.created_at
FROM outbox_cursor AS c, outbox AS o
WHERE c.reader = $1 AND o.position > c.position
ORDER BY o.position LIMIT $2;

-- name: move_reader!
-- A reader has had everything up to here; never back.
UPDATE outbox_cursor SET position = $2 WHERE reader = $1 AND position < $2;

-- name: measure_lag
-- The age in seconds of the oldest event that a reader has not had.
SELECT extract(epoch FROM clock_timestamp() - least(
    (SELECT created_at FROM outbox WHERE position IS NULL ORDER BY event_id LIMIT 1),
    (SELECT o.created_at FROM outbox_cursor AS c, outbox AS o
     WHERE c.reader = $1 AND o.position > c.position ORDER BY o.position LIMIT 1)))::float8;

-- name: prune_exported<!
-- Delete events older than $1 that every reader has had.
DELETE FROM outbox WHERE position IN (
    SELECT position FROM (
        SELECT position, created_at FROM outbox
        WHERE position <= (SELECT min(position) FROM outbox_cursor)
        ORDER BY position LIMIT $2) AS oldest
    WHERE created_at < $1)
RETURNING event_id;
