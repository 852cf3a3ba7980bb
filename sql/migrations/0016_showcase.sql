-- migrate:up
-- What buyers see of group buying, from every process' memory: campaigns by version, and the home page's places.

INSERT INTO snapshot_version (name, version) VALUES ('campaigns', 1);

-- The version of the snapshot that what is on sale of a campaign changed with; 0 before it is published.
ALTER TABLE campaign ADD COLUMN snapshot_version bigint NOT NULL DEFAULT 0;
UPDATE campaign SET snapshot_version = 1 WHERE status = 'PUBLISHED';
CREATE INDEX campaign_snapshot ON campaign (snapshot_version) WHERE snapshot_version > 0;

-- The home page's places as they were put, whole each time: the newest counts.
CREATE TABLE home_slots (
    -- the snapshot's, too
    version  bigint PRIMARY KEY,
    document jsonb NOT NULL,
    by_id    text NOT NULL,
    at       timestamptz NOT NULL
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
