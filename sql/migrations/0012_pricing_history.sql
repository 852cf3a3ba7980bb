-- migrate:up
-- What orders were priced with: enough to price them again as they were placed.

-- On the order that is paid: when, with which versions of the snapshots, which coupons were asked for.
ALTER TABLE orders ADD COLUMN priced_with jsonb;

-- Promotions and coupon templates as they were: in force from one version of their snapshot until another.
CREATE TABLE rule_history (
    kind          text NOT NULL,
    rule_id       text NOT NULL,
    version       bigint NOT NULL,
    until_version bigint NOT NULL,
    document      jsonb NOT NULL,
    PRIMARY KEY (kind, rule_id, until_version)
);

CREATE FUNCTION keep_rule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rule_history (kind, rule_id, version, until_version, document)
    VALUES (TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[1], OLD.version, NEW.version, OLD.document);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_promotion AFTER UPDATE ON promotion FOR EACH ROW
    WHEN (OLD.version < NEW.version) EXECUTE FUNCTION keep_rule('promotion', 'promotion_id');
CREATE TRIGGER keep_template AFTER UPDATE ON coupon_template FOR EACH ROW
    WHEN (OLD.version < NEW.version) EXECUTE FUNCTION keep_rule('coupon', 'template_id');

-- An item's categories decide which rules it meets; its prices are on the orders' lines.
CREATE TABLE item_history (
    item_id       text NOT NULL,
    version       bigint NOT NULL,
    until_version bigint NOT NULL,
    category_ids  text[] NOT NULL,
    PRIMARY KEY (item_id, until_version)
);

CREATE FUNCTION keep_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO item_history (item_id, version, until_version, category_ids)
    VALUES (OLD.item_id, OLD.version, NEW.version, OLD.category_ids);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_item AFTER UPDATE ON item FOR EACH ROW
    WHEN (OLD.category_ids IS DISTINCT FROM NEW.category_ids) EXECUTE FUNCTION keep_item();

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
