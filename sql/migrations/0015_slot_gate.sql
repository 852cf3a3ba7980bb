-- migrate:up
-- Which word about a group's slots is the newer one: the gate in front of them hears it from many processes.

-- rises whenever somebody takes or leaves a slot, and when the group ends
ALTER TABLE buy_group ADD COLUMN slots_version integer NOT NULL DEFAULT 1;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
