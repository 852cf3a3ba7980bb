"""For whom a rule is: conditions on the buyer and on where and how the cart is ordered, not on its lines.

Pure. `audience` makes a condition ready; None for most rules, which are for everybody. That an order is the
buyer's first is decided once more in the ledger, as a use of which each buyer has one (FIRST_ORDER_USE).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.pricing.buyer import Buyer
from app.pricing.documents import Condition
from app.pricing.limits import RuleUse, UseLimits
from app.pricing.regions import narrowest_first

# All rules for a first order share it: there is only one first order.
FIRST_ORDER_USE = RuleUse("first_order", "", UseLimits(None, None, 1), uses=1, amount_minor=0)


class Audience(Struct, frozen=True, gc=False):
    """Each empty one: anybody. A buyer needs one of the tags; a region may be a whole country."""

    regions: frozenset[str]
    channels: frozenset[str]
    buyer_tags: frozenset[str]
    first_order: bool

    @property
    def asks_who(self) -> bool:
        """Whether the buyer must be known, and not only the cart."""
        return bool(self.buyer_tags) or self.first_order

    def refuses(self, buyer: Buyer) -> str | None:
        """Why the rule is not for this buyer; None when it is."""
        if self.regions and self.regions.isdisjoint(narrowest_first(buyer.region)):
            return "region_not_served"
        if self.channels and buyer.channel not in self.channels:
            return "channel_not_served"
        if self.buyer_tags and self.buyer_tags.isdisjoint(buyer.tags):
            return "buyer_not_entitled"
        if self.first_order and not buyer.is_first_order:
            return "not_first_order"
        return None


class NotFor(Struct, frozen=True, gc=False):
    """Stands where a limited rule has what is left of it: to this buyer the rule gives nothing."""

    code: str

    def refuses(self, amount_minor: int, given: Sequence[int]) -> str:  # noqa: ARG002 - as `Allowance` does
        return self.code


EVERYBODY = Audience(frozenset(), frozenset(), frozenset(), first_order=False)


def audience(condition: Condition) -> Audience | None:
    """None: everybody."""
    asked = Audience(
        frozenset(condition.regions),
        frozenset(condition.channels),
        frozenset(condition.buyer_tags),
        condition.first_order is True,
    )
    return None if asked == EVERYBODY else asked
