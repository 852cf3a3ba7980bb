"""A rule: a promotion or a coupon template made ready for pricing.

Enters a document, leaves an immutable `Rule` in which everything that can be decided once is decided: its
place in the order of application, its scope as sets, its lowest threshold, its window in milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.catalog.snapshot import Sku
from app.pricing.audience import Audience, audience
from app.pricing.documents import (
    PRIORITY_MAX,
    AddonPrice,
    Bundle,
    BuyXGetY,
    Condition,
    CouponTemplateDocument,
    Effect,
    Limits,
    PromotionDocument,
    Scope,
    Tiers,
)
from app.pricing.lanes import LANES
from app.pricing.limits import UseLimits, use_limits
from app.pricing.one_line import OneLineFunction, counts_no_units, one_line

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
ALWAYS_MS = -(2**62)
NEVER_MS = 2**62


class Reach(Struct, frozen=True, gc=False, eq=False):
    """A scope made ready: which SKUs are in it."""

    # only of this shop, where there is one
    shop_id: str | None
    # no ids at all: everything (of its shop)
    everything: bool
    sku_ids: frozenset[str]
    item_ids: frozenset[str] = frozenset()
    category_ids: frozenset[str] = frozenset()
    shop_ids: frozenset[str] = frozenset()

    def covers(self, sku: Sku) -> bool:
        if self.shop_id is not None and sku.shop_id != self.shop_id:
            return False
        return (
            self.everything
            or sku.sku_id in self.sku_ids
            or sku.item_id in self.item_ids
            or sku.shop_id in self.shop_ids
            or not self.category_ids.isdisjoint(sku.category_ids)
        )


class TakePoints(Struct, frozen=True, gc=False):
    """The effect of a buyer's points: so many at most, worth so much each, up to a part of what is left."""

    points: int
    minor_per_point: int
    cap_bp: int


class Rule(Struct, frozen=True, gc=False, eq=False):
    """Identity is equality: a rule is made once for each version of its document."""

    kind: str  # "promotion", "coupon", or what the buyer pays with (deductions.py)
    rule_id: str
    name: str
    # the position of its lane in the configured order
    lane: int
    # by lane, then the higher priority, then the id; text, since that is what sorts fastest
    order: str
    shop_id: str | None
    # the SKUs on whose lines its condition must hold, and which it lowers where `aim` names no others
    reach: Reach
    aim: Reach | None
    starts_at_ms: int
    ends_at_ms: int
    # empty: any
    currencies: frozenset[str]
    # of all lines in scope together; 0: no minimum
    min_amount_minor: int
    min_quantity: int
    on_list_price: bool
    effect: Effect | TakePoints
    max_discount_minor: int | None
    max_quantity: int | None
    # how it lowers a single line, where there is a short way (one_line.py)
    lowers_one: OneLineFunction | None = None
    # how it lowers several lines by what their sum comes to, where nothing else of them counts
    lowers_sum: OneLineFunction | None = None
    # of a promotion: it minds no other rule, but for what those before it have left
    is_plain: bool = False
    # it names an amount and no currency: that of the shop, whose goods it lowers in no other
    home_only: bool = False
    exclusive: bool = False
    choice_group: str | None = None
    stack_category: str | None = None
    bars_coupons: bool = False
    # of what the buyer pays with: freight and tax too, and not only goods
    pays_charges: bool = False
    use_limits: UseLimits | None = None
    # None: for everybody
    audience: Audience | None = None

    def covers(self, sku: Sku) -> bool:
        """Whether a SKU is in its scope."""
        return self.reach.covers(sku)


def promotion_rule(promotion_id: str, document: PromotionDocument, lanes: tuple[str, ...] = LANES) -> Rule:
    lane = lanes.index(document.lane)
    return Rule(
        kind="promotion",
        rule_id=promotion_id,
        name=document.name,
        lane=lane,
        order=f"{lane:02}{PRIORITY_MAX - document.priority:08}{promotion_id}",
        starts_at_ms=ALWAYS_MS if document.starts_at is None else milliseconds(document.starts_at),
        ends_at_ms=NEVER_MS if document.ends_at is None else milliseconds(document.ends_at),
        exclusive=document.exclusive,
        choice_group=document.choice_group,
        bars_coupons=document.bars_coupons is True,
        is_plain=not (document.exclusive or document.bars_coupons),
        **_shared(document.shop_id, document.scope, document.condition, document.effect, document.limits),
    )


def coupon_rule(template_id: str, document: CouponTemplateDocument, lanes: tuple[str, ...] = LANES) -> Rule:
    """A template's rule. Its window is each coupon's own, so the rule itself has none."""
    lane = lanes.index("platform_coupon" if document.shop_id is None else "shop_coupon")
    return Rule(
        kind="coupon",
        rule_id=template_id,
        name=document.name,
        lane=lane,
        order=f"{lane:02}{PRIORITY_MAX:08}{template_id}",
        starts_at_ms=ALWAYS_MS,
        ends_at_ms=NEVER_MS,
        stack_category=document.stack_category,
        **_shared(document.shop_id, document.scope, document.condition, document.effect, document.limits),
    )


def _shared(
    shop_id: str | None, scope: Scope, condition: Condition, effect: Effect, limits: Limits
) -> dict[str, Any]:
    reach, aim = _reach_and_aim(shop_id, scope, effect)
    # Below its lowest tier or a full set a rule gives nothing: that is a minimum like the condition's own.
    min_amount_minor = condition.min_amount_minor or 0
    min_quantity = condition.min_quantity or 0
    max_quantity = limits.max_quantity
    match effect:
        case Tiers():
            highest_first = sorted(effect.tiers, key=lambda tier: tier.threshold, reverse=True)
            effect = replace(effect, tiers=highest_first)
            min_amount_minor = max(min_amount_minor, highest_first[-1].min_amount_minor or 0)
            min_quantity = max(min_quantity, highest_first[-1].min_quantity or 0)
        case BuyXGetY():
            units = effect.buy_quantity + (effect.get_quantity if aim is None else 0)
            min_quantity = max(min_quantity, units)
        case AddonPrice():
            max_quantity = max_quantity or 1
    lowers_one = one_line(effect) if max_quantity is None and aim is None else None
    on_list_price = condition.base == "list"
    sums_up = counts_no_units(effect) and not min_quantity and not on_list_price
    return {
        "shop_id": shop_id,
        "reach": reach,
        "aim": aim,
        "currencies": frozenset(condition.currencies),
        "min_amount_minor": min_amount_minor,
        "min_quantity": min_quantity,
        "on_list_price": on_list_price,
        "effect": effect,
        "max_discount_minor": limits.max_discount_minor,
        "max_quantity": max_quantity,
        "lowers_one": lowers_one,
        "lowers_sum": lowers_one if sums_up else None,
        "use_limits": use_limits(limits),
        "audience": audience(condition),
        "home_only": not condition.currencies and names_amount((condition, effect, limits)),
    }


def names_amount(part: Any) -> bool:
    """Whether a document names an amount of money anywhere."""
    if isinstance(part, Struct):
        fields = {name: getattr(part, name) for name in part.__struct_fields__}
        money = [value for name, value in fields.items() if name.endswith("_minor")]
        return any(value is not None for value in money) or names_amount(list(fields.values()))
    return isinstance(part, list | tuple) and any(names_amount(each) for each in part)


def _reach_and_aim(shop_id: str | None, scope: Scope, effect: Effect) -> tuple[Reach, Reach | None]:
    reach = _reach(shop_id, scope)
    match effect:
        case Bundle() if reach.everything:
            return Reach(shop_id, everything=False, sku_ids=frozenset(effect.sku_quantities)), None
        case AddonPrice():
            return reach, Reach(shop_id, everything=False, sku_ids=frozenset([effect.sku_id]))
        case BuyXGetY():
            aim = _reach(shop_id, effect.get_scope)
            return reach, None if aim.everything else aim
    return reach, None


def _reach(shop_id: str | None, scope: Scope) -> Reach:
    return Reach(
        shop_id,
        not (scope.sku_ids or scope.item_ids or scope.category_ids or scope.shop_ids),
        frozenset(scope.sku_ids),
        frozenset(scope.item_ids),
        frozenset(scope.category_ids),
        frozenset(scope.shop_ids),
    )


def milliseconds(time: datetime) -> int:
    """Milliseconds since 1970."""
    return (time - EPOCH) // MILLISECOND
