-- migrate:up
-- What a buyer keeps: the cart and the addresses; whom nothing is sent to; and who has which tags.

CREATE TABLE cart_entry (
    buyer_id   text NOT NULL,
    sku_id     text NOT NULL REFERENCES sku,
    quantity   integer NOT NULL CHECK (quantity > 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (buyer_id, sku_id)
);

-- Buyers come from the login; a row is here once somebody has tagged one.
CREATE TABLE buyer (
    buyer_id   text PRIMARY KEY CHECK (length(buyer_id) BETWEEN 1 AND 64),
    tags       text[] NOT NULL CHECK (cardinality(tags) <= 32),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE address (
    address_id bigint PRIMARY KEY,
    buyer_id   text NOT NULL,
    name       text NOT NULL,
    phone      text NOT NULL,
    country    text NOT NULL,
    region     text NOT NULL,
    city       text NOT NULL,
    street     text NOT NULL,
    postcode   text NOT NULL DEFAULT '',
    -- the national number, by which the blocklist knows a phone (app/addresses/check.py)
    phone_digits text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX address_buyer ON address (buyer_id, address_id);

CREATE TABLE blocked_address (
    kind       text NOT NULL CHECK (kind IN ('phone', 'region', 'buyer')),
    value      text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value)
);

-- Where an order may be sent, as it is kept on the order; and where that is, for rules by region.
CREATE VIEW destination AS
SELECT address_id, buyer_id, coalesce(nullif(region, ''), country) AS region,
    EXISTS (SELECT FROM blocked_address AS b WHERE (b.kind, b.value) IN
        (('buyer', a.buyer_id), ('phone', a.phone_digits), ('region', a.region), ('region', a.country))) AS blocked,
    jsonb_build_object('address_id', address_id::text, 'name', name, 'phone', phone, 'country', country,
        'region', region, 'city', city, 'street', street, 'postcode', postcode) AS snapshot
FROM address AS a;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
