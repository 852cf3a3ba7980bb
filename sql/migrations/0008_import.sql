-- migrate:up
-- Where a file's rows wait to be judged together. Filled and emptied within one transaction, so the rows
-- are never seen by anybody else; unlogged, since after a crash the import has not happened.

CREATE UNLOGGED TABLE import_shop (
    line     bigint NOT NULL,
    shop_id  text NOT NULL,
    name     text NOT NULL,
    currency text NOT NULL
);

CREATE UNLOGGED TABLE import_item (
    line         bigint NOT NULL,
    item_id      text NOT NULL,
    shop_id      text NOT NULL,
    title        text NOT NULL,
    item_type    text NOT NULL,
    category_ids text[] NOT NULL
);

CREATE UNLOGGED TABLE import_sku (
    line         bigint NOT NULL,
    item_line    bigint NOT NULL,
    position     integer NOT NULL,
    item_id      text NOT NULL,
    shop_id      text NOT NULL,
    sku_id       text NOT NULL,
    attributes   jsonb NOT NULL,
    weight_grams integer NOT NULL,
    prices       jsonb NOT NULL,
    reserve_on   text NOT NULL,
    withdrawn    boolean NOT NULL,
    on_hand      bigint NOT NULL
);

CREATE UNLOGGED TABLE import_bad_row (
    line   bigint NOT NULL,
    reason text NOT NULL
);

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
