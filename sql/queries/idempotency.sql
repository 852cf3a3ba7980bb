-- name: take_key<!
-- Take a key, or wait for who has it; no row when it is taken.
INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response)
VALUES ($1, $2, $3, $4, 0, '')
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- name: read_key
-- What a key's call has answered.
SELECT request_hash, status, response FROM idempotency WHERE digest = $1;

-- name: keep_answer!
-- Keep the answer beside the effect.
UPDATE idempotency SET status = $2, response = $3 WHERE digest = $1;

-- name: take_keys<!
-- Take the keys of a batch; one that is missing from the answer is somebody else's or an earlier call's.
-- Sorted, so that two batches wait for each other in one direction only.
INSERT INTO idempotency (digest, call, caller_id, request_hash, status, response)
SELECT *, 0, '' FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[])
    AS k (digest, call, caller_id, request_hash)
ORDER BY digest
ON CONFLICT (digest) DO NOTHING
RETURNING digest;

-- name: keep_answers!
-- Keep the answers of a batch beside the effects.
UPDATE idempotency AS i SET status = k.status, response = k.response
FROM unnest($1::bytea[], $2::smallint[], $3::bytea[]) AS k (digest, status, response) WHERE i.digest = k.digest;

-- name: release_keys!
-- Refused calls leave no keys behind.
DELETE FROM idempotency WHERE digest = ANY($1::bytea[]);

-- name: read_keys
-- What many keys' calls have answered.
SELECT digest, request_hash, status, response FROM idempotency WHERE digest = ANY($1::bytea[]);
