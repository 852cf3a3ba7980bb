"""What a draft promotion would do to carts that were really ordered: each priced without it and with it.

Pure. Enter today's price book, the draft, and orders' replays; leaves a tally by currency. Both sides
are priced with the rules of today at one moment, so that only the draft makes the difference. Amounts are
those of goods after promotions and coupons: freight, tax, points, cards and gifts' costs are left out.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from app.lib.money import WHOLE_BP
from app.orders.replay import Replay
from app.pricing.book import PriceBook, unread
from app.pricing.buyer import Buyer
from app.pricing.engine import apply_rules
from app.pricing.limits import RuleUse
from app.pricing.lines import Line, resolve
from app.pricing.rules import Rule
from app.pricing.walk import Freed, Given, Step, Walk

MILLION = 1_000_000
# By how much an order gets cheaper, in basis points: above the one before, up to this one.
DEPTHS_BP = (0, 500, 1_000, 2_000, 3_000, 5_000, WHOLE_BP)


class RehearsedLine(Struct, frozen=True):
    """`cost_minor` of all its units; None: its shop has not said it."""

    order_id: str
    sku_id: str
    quantity: int
    goods_minor: int
    without_minor: int
    with_minor: int
    cost_minor: int | None

    @property
    def badness(self) -> tuple[int, int]:
        """The furthest below its cost first, then what loses the largest part of its price; in millionths."""
        whole = self.goods_minor or 1
        below_minor = 0 if self.cost_minor is None else min(0, self.with_minor - self.cost_minor)
        return below_minor * MILLION // whole, self.with_minor * MILLION // whole


class Tally(Struct):
    """Of one currency. All but `orders` and `depths` is of the orders that the draft touches.

    `given_minor`: what the draft itself takes off; where it keeps other rules off, carts gain less.
    The margins are of the lines whose cost is known. `depths[n]`: how many orders, by DEPTHS_BP.
    """

    orders: int = 0
    touched: int = 0
    given_minor: int = 0
    without_minor: int = 0
    with_minor: int = 0
    lines: int = 0
    lines_with_cost: int = 0
    margin_without_minor: int = 0
    margin_with_minor: int = 0
    worst: RehearsedLine | None = None
    dearer: int = 0
    depths: list[int] = []


class Rehearsal:
    """`add` the orders, the oldest first: a draft with limits is used up by them. Then read `tallies`."""

    def __init__(self, today: PriceBook, draft: Rule, now_ms: int) -> None:
        """The moment is now, or when the draft begins."""
        self._draft = draft
        self._at_ms = max(now_ms, draft.starts_at_ms)
        self._taken = dict(today.uses)
        self._without = today
        # shares `_taken`, which grows
        self._with = replace(today.with_promotions([draft]), uses=self._taken)
        self.tallies: dict[str, Tally] = {}

    def add(self, order_id: str, buyer_id: str, replay: Replay) -> None:
        """Raises what pricing raises for a cart that cannot be priced; then nothing of it is counted."""
        currency = replay.cart.currency
        lines, before = self._walk(self._without, replay, replay.buyer)
        _, after = self._walk(self._with, replay, self._who(buyer_id, replay.buyer))
        tally = self.tallies.setdefault(currency, Tally(depths=[0] * len(DEPTHS_BP)))
        tally.orders += 1
        _count_depth(tally, sum(before.left), sum(after.left))
        applied: list[Step | Freed | Given] = [*after.steps, *after.freed, *after.given]
        gave = any(each.entry.rule is self._draft for each in applied)
        if not gave and before.left == after.left:
            return
        given_minor = sum(step.total_minor for step in after.steps if step.entry.rule is self._draft)
        if gave:
            self._take(buyer_id, currency, given_minor)
        tally.touched += 1
        tally.given_minor += given_minor
        for line, without_minor, with_minor in zip(lines, before.left, after.left, strict=True):
            sku, quantity, cost_minor = line.sku.sku_id, line.quantity, self._cost_minor(line, currency)
            _count_line(
                tally,
                RehearsedLine(
                    order_id, sku, quantity, line.goods_minor, without_minor, with_minor, cost_minor
                ),
            )

    def _walk(self, book: PriceBook, replay: Replay, buyer: Buyer) -> tuple[list[Line], Walk]:
        """The rules of `book` on the prices of the order's own lines."""
        book = replace(book, shops=replay.book.shops, skus=replay.book.skus, **unread())
        basket = resolve(replay.cart, book, self._at_ms)
        walk, _ = apply_rules(replay.cart, book, buyer, basket)
        return basket.lines, walk

    def _who(self, buyer_id: str, buyer: Buyer) -> Buyer:
        """The buyer, with what the orders so far have used of the draft."""
        rule_id = self._draft.rule_id
        used = self._taken.get(("promotion", rule_id, "buyer", buyer_id), 0)
        return replace(buyer, rule_uses={**buyer.rule_uses, ("promotion", rule_id): used})

    def _take(self, buyer_id: str, currency: str, given_minor: int) -> None:
        limits = self._draft.use_limits
        if limits is None:
            return
        use = RuleUse("promotion", self._draft.rule_id, limits, 1, given_minor)
        for key, units, _ in use.wants(buyer_id, currency):
            self._taken[key] = self._taken.get(key, 0) + units

    def _cost_minor(self, line: Line, currency: str) -> int | None:
        """What its units cost the shop today; None where nobody has said it."""
        sku = self._without.skus.get(line.sku.sku_id)
        cost = None if sku is None or sku.costs is None else sku.costs.get(currency)
        return None if cost is None else cost * line.quantity


def _count_depth(tally: Tally, without_minor: int, with_minor: int) -> None:
    if with_minor > without_minor:
        tally.dearer += 1
        return
    less = (without_minor - with_minor) * WHOLE_BP
    place = next(n for n, depth_bp in enumerate(DEPTHS_BP) if less <= depth_bp * without_minor)
    tally.depths[place] += 1


def _count_line(tally: Tally, line: RehearsedLine) -> None:
    tally.lines += 1
    tally.without_minor += line.without_minor
    tally.with_minor += line.with_minor
    if line.cost_minor is not None:
        tally.lines_with_cost += 1
        tally.margin_without_minor += line.without_minor - line.cost_minor
        tally.margin_with_minor += line.with_minor - line.cost_minor
    lowered = line.with_minor < line.without_minor
    if lowered and (tally.worst is None or line.badness < tally.worst.badness):
        tally.worst = line
