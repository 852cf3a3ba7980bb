-- migrate:up
-- A group whose settlement failed is tried again after this, so that however many of them hold up no other.
ALTER TABLE buy_group ADD COLUMN retry_at timestamptz;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
