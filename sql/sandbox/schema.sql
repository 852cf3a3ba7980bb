-- The sandbox payment provider's own books (SQLite, in its data folder).
CREATE TABLE IF NOT EXISTS payment (
    reference        TEXT PRIMARY KEY,           -- the merchant's: also the idempotency key
    psp_reference    TEXT NOT NULL UNIQUE,       -- ours: also the secret of the pay page's address
    amount_minor     INTEGER NOT NULL CHECK (amount_minor > 0),
    currency         TEXT NOT NULL,
    capture          TEXT NOT NULL CHECK (capture IN ('automatic', 'manual')),
    return_url       TEXT,
    notify_url       TEXT NOT NULL,
    status           TEXT NOT NULL DEFAULT 'pending'
                     CHECK (status IN ('pending', 'refused', 'authorized', 'captured', 'canceled')),
    captured_minor   INTEGER NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    refunded_minor   INTEGER NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND captured_minor)
);

-- A capture or a refund, by the merchant's reference: asked for twice, done once.
CREATE TABLE IF NOT EXISTS operation (
    kind              TEXT NOT NULL CHECK (kind IN ('capture', 'refund')),
    reference         TEXT NOT NULL,
    payment_reference TEXT NOT NULL REFERENCES payment,
    psp_reference     TEXT NOT NULL UNIQUE,
    amount_minor      INTEGER NOT NULL CHECK (amount_minor > 0),
    currency          TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')),
    PRIMARY KEY (kind, reference)
);

-- One webhook; sent until the merchant has answered 2xx.
CREATE TABLE IF NOT EXISTS webhook (
    event_id     TEXT PRIMARY KEY,
    url          TEXT NOT NULL,
    body         TEXT NOT NULL,
    due_at       REAL NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    copies_left  INTEGER NOT NULL DEFAULT 1      -- how often it is still to be delivered
);
CREATE INDEX IF NOT EXISTS webhook_due ON webhook (due_at) WHERE copies_left > 0;

-- Misbehaviour asked for through /control/faults.
CREATE TABLE IF NOT EXISTS fault (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    call       TEXT,                             -- NULL: any call
    reference  TEXT,                             -- NULL: any payment
    times_left INTEGER NOT NULL,
    delay_ms   INTEGER NOT NULL
);
