-- name: open_balances!
-- Rows to lock: an account that never held anything has none.
INSERT INTO balance (account, currency)
SELECT account, currency FROM unnest($1::text[], $2::text[]) AS a (account, currency)
ORDER BY account COLLATE "C", currency COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: lock_balances
-- What accounts hold, until the commit nobody else's to change; those that never held anything are left out.
SELECT account, currency, amount FROM balance
WHERE (account, currency) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY account, currency FOR UPDATE;

-- name: book<!
-- Write postings whose accounts are locked, and change what these hold; one that is written already is left
-- out. Returns those that are new.
WITH entry AS MATERIALIZED (
    SELECT e.*, b.account IS NOT NULL AS kept,
           b.amount + sum(e.amount) OVER (PARTITION BY account, currency ORDER BY place) AS balance_after
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
         WITH ORDINALITY AS e (kind, posting_id, account, currency, amount, order_id, place)
    LEFT JOIN balance AS b USING (account, currency)
    WHERE NOT EXISTS (SELECT FROM ledger_entry AS l WHERE (l.posting_kind, l.posting_id) = (e.kind, e.posting_id))
), written AS (
    INSERT INTO ledger_entry (posting_kind, posting_id, account, currency, amount_minor, order_id, balance_after,
                              created_at)
    SELECT kind, posting_id, account, currency, amount, order_id, balance_after, $7 FROM entry ORDER BY place
), changed AS (
    UPDATE balance AS b SET amount = b.amount + c.change
    FROM (SELECT account, currency, sum(amount)::bigint AS change FROM entry WHERE kept GROUP BY account, currency) AS c
    WHERE (b.account, b.currency) = (c.account, c.currency)
)
SELECT DISTINCT kind, posting_id FROM entry;

-- name: read_balance
-- What an account holds; no row is nothing.
SELECT amount FROM balance WHERE account = $1 AND currency = $2;

-- name: read_statement
-- The entries of an account, the newest first, from a cursor on.
SELECT entry_id, posting_kind, order_id, amount_minor, balance_after, created_at FROM ledger_entry
WHERE account = $1 AND balance_after IS NOT NULL AND entry_id < $2 ORDER BY entry_id DESC LIMIT $3;


-- name: add_deductions!
-- What lines of orders were lowered by from which balance.
INSERT INTO order_deduction (root_id, order_id, line_id, kind, account, currency, amount, amount_minor)
SELECT root_id, order_id, line_id, kind, account, currency, amount, amount_minor
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
            $9::bigint[])
    AS d (root_id, order_id, line_id, kind, source_id, account, currency, amount, amount_minor);

-- name: read_taken
-- What these orders (roots) take of each balance.
SELECT root_id, kind, account, currency, sum(amount)::bigint AS amount FROM order_deduction
WHERE root_id = ANY($1::bigint[]) GROUP BY root_id, kind, account, currency;

-- name: read_taken_and_earned
-- The same, and the points that the orders earn.
SELECT root_id, kind, NULL AS buyer_id, currency, sum(amount)::bigint AS amount FROM order_deduction
WHERE root_id = ANY($1::bigint[]) GROUP BY root_id, kind, currency
UNION ALL
SELECT order_id, 'earned', buyer_id, NULL, points_earned FROM orders
WHERE order_id = ANY($1::bigint[]) AND points_earned > 0;

-- name: read_left
-- What lines of these orders took of balances and has not come back.
SELECT order_id, line_id, kind, account, currency, amount - returned AS amount,
       amount_minor - returned_minor AS amount_minor
FROM order_deduction
WHERE order_id = ANY($1::bigint[]) AND (returned < amount OR returned_minor < amount_minor)
ORDER BY order_id, line_id, account;

-- name: return_deductions!
-- So much of what lines took is back; a CHECK refuses more than was taken.
UPDATE order_deduction AS d SET returned = d.returned + r.amount, returned_minor = d.returned_minor + r.amount_minor
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
    AS r (order_id, line_id, account, amount, amount_minor)
WHERE (d.order_id, d.line_id, d.account) = (r.order_id, r.line_id, r.account);
