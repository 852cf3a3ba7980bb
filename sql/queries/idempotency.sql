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

-- name: read_keys
-- What many keys' calls have answered.
SELECT digest, request_hash, status, response FROM idempotency WHERE digest = ANY($1::bytea[]);
