"""What pricing can refuse. Coupons and promotions that do not apply are no errors: the summary names them."""

from __future__ import annotations

from app.lib.errors import Conflict, NotFound, Unprocessable


class SkuNotFound(NotFound):
    """Not on sale, or not part of the flash sale. Member: `sku_ids`."""

    code = "sku_not_found"
    title = "Some of these SKUs are not on sale"


class CurrencyNotSold(Unprocessable):
    """SKUs without a price in the cart's currency. Members: `sku_ids`, `currency`."""

    code = "currency_not_sold"
    title = "Some of these SKUs have no price in this currency"


class BillAmountInvalid(Unprocessable):
    """Only a bill has an amount of its own, and it must have one. Member: `sku_ids`."""

    code = "bill_amount_invalid"
    title = "The amount of this bill cannot be taken"


class ActivityNotOpen(Conflict):
    """No such flash sale, or outside of its window. Member: `activity_id`."""

    code = "activity_not_open"
    title = "This sale is not open"
