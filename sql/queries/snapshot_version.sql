-- name: lock_version
-- The version that the next change of a snapshot gets; until the commit nobody else can take it.
SELECT version + 1 FROM snapshot_version WHERE name = $1 FOR UPDATE;

-- name: publish_version!
-- Tell every process that there is something newer than what it has.
UPDATE snapshot_version SET version = $2 WHERE name = $1;
