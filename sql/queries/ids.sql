-- name: take_node<!
-- Take the lowest node that nobody holds; concurrent callers get different ones.
WITH free AS (
    SELECT n AS node_id FROM generate_series(0, 1023) AS n
    WHERE NOT EXISTS (SELECT FROM node_lease AS l WHERE l.node_id = n AND l.expires_at > now())
      AND pg_try_advisory_xact_lock(hashtext('node_lease'), n)
    LIMIT 1
)
INSERT INTO node_lease (node_id, holder, expires_at)
SELECT node_id, $1, now() + make_interval(secs => $2::int) FROM free
ON CONFLICT (node_id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE node_lease.expires_at <= now()
RETURNING node_id;

-- name: renew_node<!
-- Renew a lease that is still one's own.
UPDATE node_lease SET expires_at = now() + make_interval(secs => $3::int)
WHERE node_id = $1 AND holder = $2 AND expires_at > now()
RETURNING true;

-- name: release_node!
-- Give a node back.
DELETE FROM node_lease WHERE node_id = $1 AND holder = $2;
