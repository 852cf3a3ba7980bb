-- migrate:up
-- Which word about a group's slots is the newer one: the gate in front of them hears it from many processes. And
-- where late money was meant to go.

-- rises whenever somebody takes or leaves a slot, and when the group ends
ALTER TABLE buy_group ADD COLUMN slots_version integer NOT NULL DEFAULT 1;

-- Paid too late for this group: its buyer gets a place in another one, or the money back. First choice is the
-- same group again, should it have a place.
ALTER TABLE group_order ADD COLUMN late_for bigint;

-- Somebody outside has said that it is to fail (POST /event/group_update): it ends then, and not with fewer members.
ALTER TABLE buy_group ADD COLUMN ended_early boolean NOT NULL DEFAULT false;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
