-- migrate:up
-- Rules that lower a price, and the buyers' coupons. A rule's document is kept as the operator sent it.

CREATE TABLE promotion (
    promotion_id text PRIMARY KEY CHECK (length(promotion_id) BETWEEN 1 AND 64),
    shop_id      text REFERENCES shop,
    document     jsonb NOT NULL,
    version      bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX promotion_version ON promotion (version);

CREATE TABLE coupon_template (
    template_id    text PRIMARY KEY CHECK (length(template_id) BETWEEN 1 AND 64),
    shop_id        text REFERENCES shop,
    document       jsonb NOT NULL,
    code           text UNIQUE,
    quantity_total integer CHECK (quantity_total >= 0),
    granted_count  integer NOT NULL DEFAULT 0,
    version        bigint NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT coupon_template_within_total
        CHECK (granted_count >= 0 AND (quantity_total IS NULL OR granted_count <= quantity_total))
);
CREATE INDEX coupon_template_version ON coupon_template (version);

CREATE TABLE coupon_code (
    code        text PRIMARY KEY,
    template_id text NOT NULL REFERENCES coupon_template,
    coupon_id   bigint UNIQUE
);
CREATE INDEX coupon_code_template ON coupon_code (template_id);

-- How many coupons of a template a buyer has been given.
CREATE TABLE coupon_claim (
    template_id   text NOT NULL REFERENCES coupon_template,
    buyer_id      text NOT NULL,
    quantity      integer NOT NULL CHECK (quantity > 0),
    -- what the template allowed when the last one was given; a change holds for those to come
    per_buyer_max integer,
    PRIMARY KEY (template_id, buyer_id),
    CONSTRAINT coupon_claim_within_max CHECK (quantity <= per_buyer_max)
);

CREATE TABLE coupon (
    coupon_id   bigint PRIMARY KEY,
    template_id text NOT NULL REFERENCES coupon_template,
    buyer_id    text NOT NULL,
    status      text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'locked', 'used', 'expired')),
    valid_from  timestamptz NOT NULL,
    valid_to    timestamptz NOT NULL,
    -- the order (its root) that has locked or used it
    order_id    bigint,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT coupon_order_when_taken CHECK ((order_id IS NOT NULL) = (status IN ('locked', 'used')))
) WITH (fillfactor = 80);
CREATE INDEX coupon_buyer ON coupon (buyer_id, coupon_id);
CREATE INDEX coupon_order ON coupon (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX coupon_due ON coupon (valid_to) WHERE status = 'available';

-- A buyer's own code, by which others are invited to a template's coupons.
CREATE TABLE coupon_invite_code (
    code        text PRIMARY KEY,
    template_id text NOT NULL REFERENCES coupon_template,
    buyer_id    text NOT NULL,
    UNIQUE (template_id, buyer_id)
);

-- Who came by whose code: once a buyer and template.
CREATE TABLE coupon_invite (
    template_id       text NOT NULL REFERENCES coupon_template,
    buyer_id          text NOT NULL,
    inviter_id        text NOT NULL,
    coupon_id         bigint NOT NULL UNIQUE,
    -- the inviter's reward; NULL where there was none left for them
    inviter_coupon_id bigint UNIQUE,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (template_id, buyer_id),
    CONSTRAINT coupon_invite_of_another CHECK (buyer_id <> inviter_id)
);
CREATE INDEX coupon_invite_inviter ON coupon_invite (template_id, inviter_id);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
