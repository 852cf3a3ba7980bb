"""Rules of which there is only so much: a budget, a number of uses, uses of one buyer.

Pure. A use is one order that such a rule gave something (of coupons, one coupon of the template). What has
been taken is known here as of a moment ago, so pricing leaves out what is spent; the ledger counts and
decides (app/promotions/claim.py). A budget is counted in each currency by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from app.pricing.documents import Limits

# (kind, rule id, measure, whose). Measures: "uses" of everybody (whose: ""), "buyer" (uses; whose: that
# buyer), "budget" (minor units; whose: the currency).
UseKey = tuple[str, str, str, str]


# What had been taken when a cart was priced: kind, rule id, measure, how much; for that buyer and currency.
Taken = tuple[str, str, str, int]


class UseLimits(Struct, frozen=True, gc=False):
    """What a document allows; None: without limit."""

    budget_minor: int | None
    uses_max: int | None
    uses_per_buyer_max: int | None


# Why a limited rule gives nothing.
SPENT = frozenset({"uses_spent", "uses_per_buyer_spent", "budget_spent"})

UNLIMITED = UseLimits(None, None, None)


class RuleUse(Struct, frozen=True, gc=False):
    """What an order takes of a limited rule; `amount_minor` is what the rule gave it."""

    kind: str
    rule_id: str
    limits: UseLimits
    uses: int
    amount_minor: int

    def wants(self, buyer_id: str, currency: str) -> list[tuple[UseKey, int, int]]:
        """What is counted: the key, how much, and how much there may be in all."""
        rule = self.kind, self.rule_id
        limits = self.limits
        wants = []
        if limits.uses_max is not None:
            wants.append(((*rule, "uses", ""), self.uses, limits.uses_max))
        if limits.uses_per_buyer_max is not None:
            wants.append(((*rule, "buyer", buyer_id), self.uses, limits.uses_per_buyer_max))
        if limits.budget_minor is not None and self.amount_minor:
            wants.append(((*rule, "budget", currency), self.amount_minor, limits.budget_minor))
        return wants


def with_use(
    uses: Sequence[RuleUse], kind: str, rule_id: str, limits: UseLimits, amount_minor: int
) -> list[RuleUse]:
    """One use more; coupons of one template count together."""
    same = [use for use in uses if (use.kind, use.rule_id) == (kind, rule_id)]
    times = 1 + sum(use.uses for use in same)
    amount_minor += sum(use.amount_minor for use in same)
    return [*(use for use in uses if use not in same), RuleUse(kind, rule_id, limits, times, amount_minor)]


class Allowance(Struct, frozen=True, gc=False):
    """What is left of a limited rule for one cart; None: without limit."""

    uses: int | None
    buyer_uses: int | None
    budget_minor: int | None

    def refuses(self, amount_minor: int, given: Sequence[int]) -> str | None:
        """Why the rule cannot give this amount beside what it has `given` the same cart; None when it can.

        A rule gives all of its discount or nothing: what is left of a budget is not given in part.
        """
        if self.uses is not None and len(given) >= self.uses:
            return "uses_spent"
        if self.buyer_uses is not None and len(given) >= self.buyer_uses:
            return "uses_per_buyer_spent"
        if self.budget_minor is not None and sum(given) + amount_minor > self.budget_minor:
            return "budget_spent"
        return None


def taken_of(
    kind: str, rule_id: str, uses: Mapping[UseKey, int], buyer_uses: int, currency: str
) -> list[Taken]:
    """All that an allowance of this rule for this cart depends on; what is nothing is left out."""
    counted = [
        ("uses", uses.get((kind, rule_id, "uses", ""), 0)),
        ("buyer", buyer_uses),
        ("budget", uses.get((kind, rule_id, "budget", currency), 0)),
    ]
    return [(kind, rule_id, measure, units) for measure, units in counted if units]


def use_limits(limits: Limits) -> UseLimits | None:
    """None for most rules: there is as much as anybody wants."""
    found = UseLimits(limits.budget_minor, limits.uses_max, limits.uses_per_buyer_max)
    return None if found == UNLIMITED else found


def allowance(
    kind: str,
    rule_id: str,
    limits: UseLimits,
    taken: Mapping[UseKey, int],
    buyer_uses: int,
    currency: str,
) -> Allowance:
    """`taken` is counted over all buyers, `buyer_uses` is this buyer's own."""

    def left(limit: int | None, taken_units: int) -> int | None:
        return None if limit is None else limit - taken_units

    return Allowance(
        left(limits.uses_max, taken.get((kind, rule_id, "uses", ""), 0)),
        left(limits.uses_per_buyer_max, buyer_uses),
        left(limits.budget_minor, taken.get((kind, rule_id, "budget", currency), 0)),
    )
