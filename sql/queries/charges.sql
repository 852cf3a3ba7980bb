-- name: upsert_freight_template<!
-- Create or change a freight template; no row when nothing is different.
INSERT INTO freight_template (template_id, shop_id, document, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (template_id) DO UPDATE SET document = excluded.document, version = excluded.version
    WHERE freight_template.document IS DISTINCT FROM excluded.document
RETURNING template_id;

-- name: read_freight_template
-- One freight template.
SELECT shop_id, document FROM freight_template WHERE template_id = $1;

-- name: list_freight_templates
-- Freight templates after a cursor, of one shop or of all.
SELECT template_id, document FROM freight_template
WHERE template_id > $1 AND ($2::text IS NULL OR shop_id = $2) ORDER BY template_id LIMIT $3;

-- name: upsert_tax_rule<!
-- Create or change a tax rule; no row when nothing is different.
INSERT INTO tax_rule (tax_rule_id, shop_id, document, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (tax_rule_id) DO UPDATE
    SET shop_id = excluded.shop_id, document = excluded.document, version = excluded.version
    WHERE tax_rule.document IS DISTINCT FROM excluded.document
RETURNING tax_rule_id;

-- name: read_tax_rule
-- One tax rule.
SELECT shop_id, document FROM tax_rule WHERE tax_rule_id = $1;

-- name: list_tax_rules
-- Tax rules after a cursor, of one shop or of all.
SELECT tax_rule_id, document FROM tax_rule
WHERE tax_rule_id > $1 AND ($2::text IS NULL OR shop_id = $2) ORDER BY tax_rule_id LIMIT $3;

-- name: upsert_fx_rates<!
-- Create or replace the rates of a base; no row when nothing is different.
INSERT INTO fx_rates (base, document, version) VALUES ($1, $2, $3)
ON CONFLICT (base) DO UPDATE SET document = excluded.document, version = excluded.version
    WHERE fx_rates.document IS DISTINCT FROM excluded.document
RETURNING base;

-- name: list_fx_rates
-- The rates of all bases after a cursor.
SELECT document FROM fx_rates WHERE base > $1 ORDER BY base LIMIT $2;
