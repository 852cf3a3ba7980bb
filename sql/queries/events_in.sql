-- name: store_event<!
-- Keep an event, once; no row when it is known.
INSERT INTO inbound_event (source, event_id, type, occurred_at, received_at, body, status, apply_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (source, event_id) DO NOTHING
RETURNING event_id;

-- name: store_applied<!
-- Keep events of source $1 that are applied in this transaction, each once; $2 is a JSON array of them. Leaves
-- those that were not known before.
INSERT INTO inbound_event (source, event_id, type, occurred_at, received_at, body, status, note, tries)
SELECT $1, event_id, type, occurred_at, received_at, body, 'APPLIED', note, 1
FROM json_to_recordset($2::json) AS e (event_id text, type text, occurred_at timestamptz,
    received_at timestamptz, body jsonb, note text)
ORDER BY event_id
ON CONFLICT (source, event_id) DO NOTHING
RETURNING event_id;

-- name: read_status
-- What became of an event.
SELECT status FROM inbound_event WHERE source = $1 AND event_id = $2;

-- name: lock_event
-- Take an event to apply it; no row when it is done, or another process has it.
SELECT type, body, received_at, tries FROM inbound_event
WHERE source = $1 AND event_id = $2 AND status IN ('RECEIVED', 'WAITING')
FOR UPDATE SKIP LOCKED;

-- name: finish_event!
-- Say what became of it; apply_at is when it is tried again.
UPDATE inbound_event SET status = $3, note = $4, apply_at = $5, tries = tries + 1
WHERE source = $1 AND event_id = $2;

-- name: put_off_event!
-- Applying it ended in an error: again later.
UPDATE inbound_event SET note = $3, apply_at = $4, tries = tries + 1
WHERE source = $1 AND event_id = $2 AND status IN ('RECEIVED', 'WAITING');

-- name: read_due_events
-- Events to apply now.
SELECT source, event_id, tries FROM inbound_event WHERE apply_at <= $1 ORDER BY apply_at LIMIT $2;
