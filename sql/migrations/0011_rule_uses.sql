-- migrate:up
-- Rules of which there is only so much: what has been taken of each, and by which order.

-- One row for each thing that is counted. No CHECK against a limit: an operator may lower it below what is taken.
CREATE TABLE rule_use (
    -- coupon: of all coupons of a template; first_order: each buyer has one, whatever rules are for it
    kind    text NOT NULL CHECK (kind IN ('promotion', 'coupon', 'first_order')),
    rule_id text NOT NULL,
    -- uses of everybody (whose: ''), uses of a buyer (whose: the buyer), minor units given (whose: the currency)
    measure text NOT NULL CHECK (measure IN ('uses', 'buyer', 'budget')),
    whose   text NOT NULL,
    taken   bigint NOT NULL CONSTRAINT rule_use_not_below_zero CHECK (taken >= 0),
    PRIMARY KEY (kind, rule_id, measure, whose)
) WITH (fillfactor = 50);  -- a limited rule that everybody gets is updated with every batch
CREATE INDEX rule_use_buyer ON rule_use (whose) WHERE measure = 'buyer';

-- What a live order (its root) has taken; the row goes when the order is canceled, and what it took goes back.
CREATE TABLE order_rule_use (
    order_id bigint NOT NULL,
    kind     text NOT NULL,
    rule_id  text NOT NULL,
    measure  text NOT NULL,
    whose    text NOT NULL,
    taken    bigint NOT NULL CHECK (taken > 0),
    PRIMARY KEY (order_id, kind, rule_id, measure)
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
