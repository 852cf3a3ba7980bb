-- migrate:up
-- Seats of shows. A SKU is one session and ticket category, and has one map, whichever campaigns sell it: a seat
-- is a row, and a row can be given to one order line only.

CREATE TABLE seat_map (
    sku_id  text PRIMARY KEY REFERENCES sku,
    -- within an item's session no two maps have the same seat
    session text NOT NULL
);

CREATE TABLE seat (
    sku_id   text NOT NULL REFERENCES seat_map,
    row_name text NOT NULL,
    number   text NOT NULL,
    -- 0 is the best row
    rank     integer NOT NULL CHECK (rank >= 0),
    -- in the row, gaps counted: neighbours differ by one
    position integer NOT NULL CHECK (position >= 0),
    -- whose it is
    order_id bigint,
    line_id  bigint,
    PRIMARY KEY (sku_id, row_name, number),
    -- when a map is replaced its seats change places
    CONSTRAINT seat_place UNIQUE (sku_id, rank, position) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT seat_of_line CHECK ((order_id IS NULL) = (line_id IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX seat_free ON seat (sku_id, rank, position) WHERE order_id IS NULL;
CREATE INDEX seat_order ON seat (order_id, line_id) WHERE order_id IS NOT NULL;

-- What lines of groups that have succeeded have a right to: a seat for each unit that has not gone back.
CREATE VIEW seat_claim AS
SELECT l.sku_id, g.group_id, g.slot, l.order_id, l.line_id, o.status,
    l.quantity - coalesce((SELECT sum(p.quantity) FROM refund_line AS p JOIN refund AS r USING (refund_id)
                           WHERE r.order_id = l.order_id AND p.line_id = l.line_id AND r.status = 'SUCCEEDED'), 0)
        AS seats
FROM group_order AS g JOIN orders AS o USING (order_id) JOIN order_line AS l USING (order_id)
WHERE g.status = 'SUCCEEDED' AND o.status <> 'CLOSED';

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
