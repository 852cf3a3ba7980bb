-- name: uses_of_rules
-- What all buyers together have taken of these rules.
SELECT kind, rule_id, measure, whose, taken FROM rule_use
WHERE (kind, rule_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND measure IN ('uses', 'budget');

-- name: uses_of_buyers
-- How often these buyers have used rules that have a limit for each buyer.
SELECT whose AS buyer_id, kind, rule_id, taken FROM rule_use WHERE measure = 'buyer' AND whose = ANY($1::text[]);

-- name: uses_of_rule
-- What all buyers together have taken of one rule.
SELECT measure, whose, taken FROM rule_use
WHERE kind = $1 AND rule_id = $2 AND measure IN ('uses', 'budget') ORDER BY measure, whose;

-- name: open_uses!
-- Rows to lock: of what nobody has taken yet there is none.
INSERT INTO rule_use (kind, rule_id, measure, whose, taken)
SELECT kind, rule_id, measure, whose, 0
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (kind, rule_id, measure, whose)
ORDER BY kind, rule_id, measure, whose
ON CONFLICT DO NOTHING;

-- name: lock_uses
-- What has been taken so far, in one order.
SELECT kind, rule_id, measure, whose, taken FROM rule_use
WHERE (kind, rule_id, measure, whose) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]))
ORDER BY kind, rule_id, measure, whose FOR UPDATE;

-- name: take_uses!
-- What orders take of locked rows: kept for each order, and added up for each rule.
WITH entries AS (
    INSERT INTO order_rule_use (order_id, kind, rule_id, measure, whose, taken)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
    RETURNING kind, rule_id, measure, whose, taken
)
UPDATE rule_use AS u SET taken = u.taken + e.taken
FROM (SELECT kind, rule_id, measure, whose, sum(taken) AS taken FROM entries
      GROUP BY kind, rule_id, measure, whose) AS e
WHERE (u.kind, u.rule_id, u.measure, u.whose) = (e.kind, e.rule_id, e.measure, e.whose);

-- name: return_uses!
-- What these orders (roots) had taken can be taken again.
WITH entries AS (
    DELETE FROM order_rule_use WHERE order_id = ANY($1::bigint[])
    RETURNING kind, rule_id, measure, whose, taken
), returned AS (
    SELECT kind, rule_id, measure, whose, sum(taken) AS taken FROM entries
    GROUP BY kind, rule_id, measure, whose
), locked AS (
    SELECT r.* FROM returned AS r JOIN rule_use AS u USING (kind, rule_id, measure, whose)
    ORDER BY u.kind, u.rule_id, u.measure, u.whose FOR UPDATE OF u
)
UPDATE rule_use AS u SET taken = u.taken - l.taken FROM locked AS l
WHERE (u.kind, u.rule_id, u.measure, u.whose) = (l.kind, l.rule_id, l.measure, l.whose);
