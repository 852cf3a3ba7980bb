"""What the merchant can do with a payment: authorise, look up, capture, cancel, refund.

Enters: the merchant's request under its own reference. Leaves: the payment or operation as it stands, and
webhooks in the books. Must hold: one reference, one effect; captured ≤ authorized; refunded ≤ captured.
"""

import secrets
import sqlite3
from urllib.parse import urlsplit

from app.sandbox import faults, webhooks
from app.sandbox.errors import AmountTooHigh, NotPossible, PaymentNotFound, ReferenceReused, ReturnUrlInvalid
from app.sandbox.schemas import Action, AuthoriseRequest, Operation, OperationRequest, OperationTaken, Payment
from app.sandbox.store import Store

# The alphabet of references on real providers' receipts: no 0/O, no 1/I. 16 of 32 letters are 80 bits,
# enough to be the only secret in the pay page's address.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_REFERENCE_LENGTH = 16

# A return address in one of these would run in the pay page when clicked; any app's own scheme is fine.
_SCHEMES_REFUSED = frozenset({"javascript", "data", "vbscript"})


def authorise(store: Store, request: AuthoriseRequest, callback: str, base_url: str) -> Payment:
    """Opens a payment session. Raises ReferenceReused, ReturnUrlInvalid."""
    _check_return_url(request.return_url)
    with store.transaction() as connection:
        row = store.queries.payment_by_reference(connection, reference=request.reference)
        if row is None:
            store.queries.payment_insert(
                connection,
                reference=request.reference,
                psp_reference=_new_reference(),
                amount_minor=request.amount_minor,
                currency=request.currency,
                capture=request.capture,
                return_url=request.return_url,
                notify_url=(request.notify_url or callback).rstrip("/"),
            )
            row = find(store, request.reference)
        elif (row["amount_minor"], row["currency"]) != (request.amount_minor, request.currency):
            raise ReferenceReused(request.reference)
    return describe(store, row, base_url)


def find(store: Store, reference: str) -> sqlite3.Row:
    row: sqlite3.Row | None = store.queries.payment_by_reference(store.connection, reference=reference)
    if row is None:
        raise PaymentNotFound(reference)
    return row


def describe(store: Store, row: sqlite3.Row, base_url: str) -> Payment:
    refunds = store.queries.refunds_of(store.connection, payment_reference=row["reference"])
    return Payment(
        reference=row["reference"],
        psp_reference=row["psp_reference"],
        status=row["status"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        captured_minor=row["captured_minor"],
        refunded_minor=row["refunded_minor"],
        action=Action(type="redirect", url=f"{base_url}/pay/{row['psp_reference']}"),
        refunds=[Operation(**dict(refund)) for refund in refunds],
    )


def capture(store: Store, payment_reference: str, request: OperationRequest) -> OperationTaken:
    """Takes authorized money, once. Raises PaymentNotFound, ReferenceReused, NotPossible, AmountTooHigh."""
    with store.transaction() as connection:
        payment = find(store, payment_reference)
        known = _known_operation(store, "capture", payment, request)
        if known is not None:
            return known
        if payment["status"] != "authorized":
            raise NotPossible(f"the payment is {payment['status']}")
        if request.amount_minor > payment["amount_minor"] or request.currency != payment["currency"]:
            raise AmountTooHigh(f"authorized: {payment['amount_minor']} {payment['currency']}")
        settle_capture(store, payment, request.amount_minor)
        return _remember(store, connection, "capture", payment, request, "succeeded")


def settle_capture(store: Store, payment: sqlite3.Row, amount_minor: int) -> None:
    """Moves an authorized payment to captured and reports it; inside the caller's transaction."""
    store.queries.payment_set_status(
        store.connection, reference=payment["reference"], status="captured", captured_minor=amount_minor
    )
    webhooks.report_payment(store, payment, "captured", amount_minor)


def cancel(store: Store, payment_reference: str) -> sqlite3.Row:
    """Gives up a payment that is not captured; again on a canceled one changes nothing.

    Raises PaymentNotFound, NotPossible (captured: a refund is the way).
    """
    with store.transaction() as connection:
        payment = find(store, payment_reference)
        if payment["status"] == "captured":
            raise NotPossible("the payment is captured")
        store.queries.payment_set_status(
            connection, reference=payment_reference, status="canceled", captured_minor=0
        )
        return find(store, payment_reference)


def refund(store: Store, payment_reference: str, request: OperationRequest) -> OperationTaken:
    """Gives captured money back. Raises PaymentNotFound, ReferenceReused, NotPossible, AmountTooHigh."""
    with store.transaction() as connection:
        payment = find(store, payment_reference)
        known = _known_operation(store, "refund", payment, request)
        if known is not None:
            return known
        if payment["status"] != "captured":
            raise NotPossible(f"the payment is {payment['status']}")
        left_minor = payment["captured_minor"] - payment["refunded_minor"]
        if request.amount_minor > left_minor or request.currency != payment["currency"]:
            raise AmountTooHigh(f"left: {left_minor} {payment['currency']}")
        fails = faults.take(store, "refund_fails", "refund", payment_reference) is not None
        if not fails:
            store.queries.payment_add_refund(
                connection, reference=payment_reference, amount_minor=request.amount_minor
            )
        taken = _remember(store, connection, "refund", payment, request, "failed" if fails else "succeeded")
        webhooks.report_refund(store, payment, taken, "failed" if fails else "succeeded")
        return taken


def _known_operation(
    store: Store, kind: str, payment: sqlite3.Row, request: OperationRequest
) -> OperationTaken | None:
    row = store.queries.operation_by_reference(store.connection, kind=kind, reference=request.reference)
    if row is None:
        return None
    known = (row["payment_reference"], row["amount_minor"], row["currency"])
    if known != (payment["reference"], request.amount_minor, request.currency):
        raise ReferenceReused(request.reference)
    return OperationTaken(request.reference, row["psp_reference"], request.amount_minor, request.currency)


def _remember(
    store: Store,
    connection: sqlite3.Connection,
    kind: str,
    payment: sqlite3.Row,
    request: OperationRequest,
    status: str,
) -> OperationTaken:
    taken = OperationTaken(request.reference, _new_reference(), request.amount_minor, request.currency)
    store.queries.operation_insert(
        connection,
        kind=kind,
        reference=request.reference,
        payment_reference=payment["reference"],
        psp_reference=taken.psp_reference,
        amount_minor=request.amount_minor,
        currency=request.currency,
        status=status,
    )
    return taken


def _new_reference() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_REFERENCE_LENGTH))


def _check_return_url(return_url: str | None) -> None:
    if return_url is None:
        return
    parts = urlsplit(return_url)
    if not parts.scheme or parts.scheme.lower() in _SCHEMES_REFUSED:
        raise ReturnUrlInvalid(return_url)
