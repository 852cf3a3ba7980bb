-- migrate:up
-- Means of payment that pay freight and tax too; and what freight and tax were computed with, for a replay.

-- Whether they pay freight and tax, or goods alone.
ALTER TABLE gift_card ADD COLUMN pays_charges boolean NOT NULL DEFAULT true;
ALTER TABLE red_packet_pool ADD COLUMN pays_charges boolean NOT NULL DEFAULT false;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
