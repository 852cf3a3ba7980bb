-- migrate:up
-- What is sold: shops, items, SKUs with prices per currency; what is charged beside it (freight, tax); the
-- rates between currencies; and who has seen which version of it.

-- One row per in-memory snapshot. A change takes its version under this row's lock, so that versions
-- commit in order and a process that has seen version n has seen everything below it.
CREATE TABLE snapshot_version (
    name    text PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0
);
INSERT INTO snapshot_version (name) VALUES ('catalog'), ('promotions'), ('flash_sales'), ('charges');

CREATE TABLE shop (
    shop_id    text PRIMARY KEY CHECK (length(shop_id) BETWEEN 1 AND 64),
    name       text NOT NULL,
    currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    version    bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- how its items are sent that name no template of their own
    freight_template_id text
);
CREATE INDEX shop_version ON shop (version);

-- Freight and tax: documents as the operator sent them.
CREATE TABLE freight_template (
    template_id text PRIMARY KEY CHECK (length(template_id) BETWEEN 1 AND 64),
    shop_id     text NOT NULL REFERENCES shop,
    document    jsonb NOT NULL,
    version     bigint NOT NULL
);
CREATE INDEX freight_template_version ON freight_template (version);
ALTER TABLE shop ADD FOREIGN KEY (freight_template_id) REFERENCES freight_template;

CREATE TABLE tax_rule (
    tax_rule_id text PRIMARY KEY CHECK (length(tax_rule_id) BETWEEN 1 AND 64),
    shop_id     text REFERENCES shop,    -- NULL: of every shop
    document    jsonb NOT NULL,
    version     bigint NOT NULL
);
CREATE INDEX tax_rule_version ON tax_rule (version);

-- All dated rates of a base, as the operator sent them.
CREATE TABLE fx_rates (
    base     text PRIMARY KEY CHECK (base ~ '^[A-Z]{3}$'),
    document jsonb NOT NULL,
    version  bigint NOT NULL
);

CREATE TABLE item (
    item_id      text PRIMARY KEY CHECK (length(item_id) BETWEEN 1 AND 64),
    shop_id      text NOT NULL REFERENCES shop,
    title        text NOT NULL,
    item_type    text NOT NULL CHECK (item_type IN ('physical', 'virtual', 'third_party', 'bill')),
    category_ids text[] NOT NULL DEFAULT '{}',
    version      bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    freight_template_id text REFERENCES freight_template    -- NULL: the shop's
);
CREATE INDEX item_version ON item (version);
CREATE INDEX item_shop ON item (shop_id, item_id);

CREATE TABLE sku (
    sku_id       text PRIMARY KEY CHECK (length(sku_id) BETWEEN 1 AND 64),
    item_id      text NOT NULL REFERENCES item,
    position     integer NOT NULL DEFAULT 0,
    attributes   jsonb NOT NULL DEFAULT '{}',
    weight_grams integer NOT NULL DEFAULT 0 CHECK (weight_grams >= 0),
    -- {"CNY": {"price_minor": 10000, "list_price_minor": 12000}}
    prices       jsonb NOT NULL,
    -- when its stock is reserved: as the order is placed, or only as it is paid
    reserve_on   text NOT NULL DEFAULT 'place' CHECK (reserve_on IN ('place', 'pay')),
    -- an item replaced without this SKU withdraws it: orders keep pointing at the row
    withdrawn    boolean NOT NULL DEFAULT false,
    version      bigint NOT NULL
);
CREATE INDEX sku_item ON sku (item_id);
CREATE INDEX sku_version ON sku (version);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
