"""The page on which the buyer pays: plain HTML, no script, good on a phone.

Enters: the payment's secret reference from the address, and the button pressed. Leaves: the page. Must
hold: a button that the payment's state does not offer changes nothing (a page left open, pressed twice).
"""

import sqlite3

from jinja2 import Environment, PackageLoader

from app.sandbox import faults, webhooks
from app.sandbox.errors import PaymentNotFound
from app.sandbox.payments import settle_capture
from app.sandbox.store import Store

# ISO 4217 currencies without two decimals, as far as shops sell in them.
_DECIMALS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}
_DECLINED = "The bank declined the payment"

_templates = Environment(loader=PackageLoader("app.sandbox"), autoescape=True)

# Which buttons do something in which state. A declined buyer may try again, as on real pay pages.
BUTTONS = {
    "pending": ("pay", "authorise", "decline"),
    "refused": ("pay", "authorise", "decline"),
    "authorized": ("capture",),
}


def render(payment: sqlite3.Row) -> str:
    return _templates.get_template("pay.html").render(
        payment=payment,
        amount=format_amount(payment["amount_minor"], payment["currency"]),
        buttons=BUTTONS.get(payment["status"], ()),
    )


def format_amount(amount_minor: int, currency: str) -> str:
    decimals = _DECIMALS.get(currency, 2)
    if decimals == 0:
        return f"{amount_minor:,} {currency}"
    whole, part = divmod(amount_minor, 10**decimals)
    return f"{whole:,}.{part:0{decimals}} {currency}"


def find_by_secret(store: Store, psp_reference: str) -> sqlite3.Row:
    row: sqlite3.Row | None = store.queries.payment_by_psp_reference(
        store.connection, psp_reference=psp_reference
    )
    if row is None:
        raise PaymentNotFound(psp_reference)
    return row


def press(store: Store, psp_reference: str, button: str) -> sqlite3.Row:
    """Does what the button says, if the payment's state still offers it. Raises PaymentNotFound."""
    with store.transaction() as connection:
        payment = find_by_secret(store, psp_reference)
        if button not in BUTTONS.get(payment["status"], ()):
            return payment
        if button == "capture":
            settle_capture(store, payment, payment["amount_minor"])
        elif button == "decline" or faults.take(store, "decline", "pay", payment["reference"]) is not None:
            store.queries.payment_set_status(
                connection, reference=payment["reference"], status="refused", captured_minor=0
            )
            webhooks.report_refused(store, payment, _DECLINED)
        else:
            _accept(store, connection, payment, capture=button == "pay" and payment["capture"] == "automatic")
        return find_by_secret(store, psp_reference)


def _accept(store: Store, connection: sqlite3.Connection, payment: sqlite3.Row, *, capture: bool) -> None:
    store.queries.payment_set_status(
        connection, reference=payment["reference"], status="authorized", captured_minor=0
    )
    webhooks.report_payment(store, payment, "authorized", payment["amount_minor"])
    if capture:
        settle_capture(store, payment, payment["amount_minor"])
