"""Why a price cannot be changed. Each changes nothing."""

from __future__ import annotations

from app.lib.errors import Conflict, Unprocessable


class PriceNotChangeable(Conflict):
    """`order_status` says where the order is: only what is not paid can be changed, and no group's price."""

    code = "price_not_changeable"
    title = "This order's price cannot be changed"


class SeveralShops(Conflict):
    """`order_ids` are the orders that it was split into, one a shop: change one of them."""

    code = "several_shops"
    title = "This order is of several shops"


class PaymentInProgress(Conflict):
    """The buyer's payment at the old price is authorized, or cannot be called back right now."""

    code = "payment_in_progress"
    title = "The buyer is paying at this moment"


class PriceChangeTooHigh(Unprocessable):
    """`most_minor` can be taken off, of the line `line_id` where one was named."""

    code = "price_change_too_high"
    title = "More than it costs"


class PriceChangeMismatch(Unprocessable):
    """The order has no line `line_id`, or it is named twice."""

    code = "price_change_mismatch"
    title = "The change does not fit the order's lines"
