-- name: payment_insert(reference, psp_reference, amount_minor, currency, capture, return_url, notify_url)!
-- A new payment, not paid yet.
INSERT INTO payment (reference, psp_reference, amount_minor, currency, capture, return_url, notify_url)
VALUES (:reference, :psp_reference, :amount_minor, :currency, :capture, :return_url, :notify_url);

-- name: payment_by_reference(reference)^
-- One payment by the merchant's reference.
SELECT * FROM payment WHERE reference = :reference;

-- name: payment_by_psp_reference(psp_reference)^
-- One payment by ours (the pay page).
SELECT * FROM payment WHERE psp_reference = :psp_reference;

-- name: payment_set_status(reference, status, captured_minor)!
-- Moves a payment on.
UPDATE payment SET status = :status, captured_minor = :captured_minor WHERE reference = :reference;

-- name: payment_add_refund(reference, amount_minor)!
-- Counts money that goes back; the CHECK refuses more than was captured.
UPDATE payment SET refunded_minor = refunded_minor + :amount_minor WHERE reference = :reference;

-- name: operation_by_reference(kind, reference)^
-- What an earlier call with this reference did.
SELECT * FROM operation WHERE kind = :kind AND reference = :reference;

-- name: operation_insert(kind, reference, payment_reference, psp_reference, amount_minor, currency, status)!
-- Remembers a capture or a refund under its reference.
INSERT INTO operation (kind, reference, payment_reference, psp_reference, amount_minor, currency, status)
VALUES (:kind, :reference, :payment_reference, :psp_reference, :amount_minor, :currency, :status);

-- name: refunds_of(payment_reference)
-- All refunds of a payment.
SELECT reference, psp_reference, status, amount_minor, currency FROM operation
WHERE kind = 'refund' AND payment_reference = :payment_reference ORDER BY rowid;

-- name: webhook_insert(event_id, url, body, due_at, copies)!
-- A webhook to deliver, not before due_at.
INSERT INTO webhook (event_id, url, body, due_at, copies_left) VALUES (:event_id, :url, :body, :due_at, :copies);

-- name: webhooks_due(now, limit)
-- What is to be delivered now, oldest first.
SELECT event_id, url, body, attempts FROM webhook
WHERE copies_left > 0 AND due_at <= :now ORDER BY due_at LIMIT :limit;

-- name: webhook_next_due()^
-- When the next webhook is due.
SELECT min(due_at) AS due_at FROM webhook WHERE copies_left > 0;

-- name: webhook_accepted(event_id)!
-- The merchant answered 2xx.
UPDATE webhook SET copies_left = copies_left - 1 WHERE event_id = :event_id;

-- name: webhook_refused(event_id, due_at)!
-- The merchant did not: again later.
UPDATE webhook SET attempts = attempts + 1, due_at = :due_at WHERE event_id = :event_id;

-- name: fault_insert(kind, call, reference, times, delay_ms)!
-- Misbehave this way the next so many times.
INSERT INTO fault (kind, call, reference, times_left, delay_ms)
VALUES (:kind, :call, :reference, :times, :delay_ms);

-- name: fault_take(kind, call, reference)^
-- Uses one up, if there is one for this call and payment.
UPDATE fault SET times_left = times_left - 1
WHERE id = (SELECT id FROM fault WHERE kind = :kind AND times_left > 0
              AND (call IS NULL OR call = :call) AND (reference IS NULL OR reference = :reference)
            ORDER BY id LIMIT 1)
RETURNING delay_ms;

-- name: faults_clear()!
-- Behave again.
DELETE FROM fault;
