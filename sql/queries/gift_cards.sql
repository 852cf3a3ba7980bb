-- name: add_cards!
-- New cards of one amount.
INSERT INTO gift_card (card_id, code, currency, amount_minor, expires_at, created_at, pays_charges)
SELECT card_id, code, $3, $4, $5, $6, $7 FROM unnest($1::bigint[], $2::text[]) AS c (card_id, code);

-- name: read_card
-- One card with what is left on it.
SELECT c.card_id, c.currency, c.amount_minor, b.amount AS balance_minor, c.expires_at, c.pays_charges
FROM gift_card AS c JOIN balance AS b ON b.account = 'gift_card:' || c.card_id AND b.currency = c.currency
WHERE c.code = $1;

-- name: cards_of_codes
-- The cards that carts name, with what is left on them.
SELECT c.code, c.card_id, c.currency, b.amount AS balance_minor, c.expires_at, c.pays_charges
FROM gift_card AS c JOIN balance AS b ON b.account = 'gift_card:' || c.card_id AND b.currency = c.currency
WHERE c.code = ANY($1::text[]);

-- name: card_ends
-- When cards end; under the locks of their balances.
SELECT card_id, expires_at FROM gift_card WHERE card_id = ANY($1::bigint[]);

-- name: keep_cards_open!
-- Money has come back to these cards: they are good until $2 at least.
UPDATE gift_card SET expires_at = $2 WHERE card_id = ANY($1::bigint[]) AND expires_at < $2;
