-- migrate:up
-- Means of payment that pay freight and tax too; and what freight and tax were computed with, for a replay.

-- Whether they pay freight and tax, or goods alone.
ALTER TABLE gift_card ADD COLUMN pays_charges boolean NOT NULL DEFAULT true;
ALTER TABLE red_packet_pool ADD COLUMN pays_charges boolean NOT NULL DEFAULT false;
-- as its pool said when it was sent
ALTER TABLE red_packet ADD COLUMN pays_charges boolean NOT NULL DEFAULT false;

-- Freight templates, tax rules and the points' rules as they were, beside promotions and coupon templates.
CREATE TRIGGER keep_freight_template AFTER UPDATE ON freight_template FOR EACH ROW
    WHEN (OLD.version < NEW.version) EXECUTE FUNCTION keep_rule('freight', 'template_id');
CREATE TRIGGER keep_tax_rule AFTER UPDATE ON tax_rule FOR EACH ROW
    WHEN (OLD.version < NEW.version) EXECUTE FUNCTION keep_rule('tax', 'tax_rule_id');
CREATE TRIGGER keep_points_rules AFTER UPDATE ON points_rules FOR EACH ROW
    WHEN (OLD.version < NEW.version) EXECUTE FUNCTION keep_rule('points', 'only_one');

-- What freight is computed from: whose template it is, and what a SKU weighs.
ALTER TABLE item_history ADD COLUMN freight_template_id text;
CREATE OR REPLACE FUNCTION keep_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO item_history (item_id, version, until_version, category_ids, freight_template_id)
    VALUES (OLD.item_id, OLD.version, NEW.version, OLD.category_ids, OLD.freight_template_id);
    RETURN NULL;
END $$;
DROP TRIGGER keep_item ON item;
CREATE TRIGGER keep_item AFTER UPDATE ON item FOR EACH ROW
    WHEN ((OLD.category_ids, OLD.freight_template_id) IS DISTINCT FROM (NEW.category_ids, NEW.freight_template_id))
    EXECUTE FUNCTION keep_item();

CREATE TABLE shop_history (
    shop_id             text NOT NULL,
    version             bigint NOT NULL,
    until_version       bigint NOT NULL,
    freight_template_id text,
    PRIMARY KEY (shop_id, until_version)
);
CREATE FUNCTION keep_shop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop_history (shop_id, version, until_version, freight_template_id)
    VALUES (OLD.shop_id, OLD.version, NEW.version, OLD.freight_template_id);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_shop AFTER UPDATE ON shop FOR EACH ROW
    WHEN (OLD.freight_template_id IS DISTINCT FROM NEW.freight_template_id) EXECUTE FUNCTION keep_shop();

CREATE TABLE sku_history (
    sku_id        text NOT NULL,
    version       bigint NOT NULL,
    until_version bigint NOT NULL,
    weight_grams  integer NOT NULL,
    PRIMARY KEY (sku_id, until_version)
);
CREATE FUNCTION keep_sku() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sku_history (sku_id, version, until_version, weight_grams)
    VALUES (OLD.sku_id, OLD.version, NEW.version, OLD.weight_grams);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_sku AFTER UPDATE ON sku FOR EACH ROW
    WHEN (OLD.weight_grams <> NEW.weight_grams) EXECUTE FUNCTION keep_sku();

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
