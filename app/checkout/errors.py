"""Why an order cannot be placed. Each changes nothing, and a retry is judged anew."""

from __future__ import annotations

from collections.abc import Mapping

from app.lib.errors import Conflict
from app.pricing.limits import UseKey


class PriceChanged(Conflict):
    """What the buyer saw is not what it costs, and no quote holds.

    Members: `summary`, the new one; `difference`, a list of what has changed since the quote, the whole
    first, then by line (`sku_id`, `field`, `was_minor`, `now_minor`) and by rule (`kind`, `rule_id`, `name`
    too); without a readable quote the whole alone.
    """

    code = "price_changed"
    title = "The price has changed"


class RuleSpent(PriceChanged):
    """Of a rule that lowers the price less is left than this order needs: it costs more now.

    `taken` tells whoever prices it anew what the ledger has counted.
    """

    def __init__(self, taken: Mapping[UseKey, int]) -> None:
        super().__init__()
        self.taken = taken


class CodeSpent(RuleSpent):
    """A code that lowers the price can no longer be redeemed: the new summary says why."""

    def __init__(self) -> None:
        super().__init__({})


class AddressMoved(PriceChanged):
    """The order goes elsewhere than it was priced for: it is priced anew, and nobody else sees this."""


class OutOfStock(Conflict):
    """Member: `sku_ids`, those of which there are not enough."""

    code = "out_of_stock"
    title = "Not enough in stock"


class CouponUnavailable(Conflict):
    """Member: `coupon_ids`."""

    code = "coupon_unavailable"
    title = "This coupon can no longer be used"


class BalanceTooLow(Conflict):
    """Points, a gift card or a red packet no longer hold what the order takes. Member: `short`, which."""

    code = "balance_too_low"
    title = "A balance is lower than what the order takes of it"


class PurchaseLimitExceeded(Conflict):
    """Members: `sku_ids`, and the limit: `per_buyer_max`, or a campaign's `per_order_max`."""

    code = "purchase_limit_exceeded"
    title = "More than one buyer may have"


class ActivityEnded(Conflict):
    """The sale ended between pricing and placing."""

    code = "activity_not_open"
    title = "This sale is not open"
