"""Freight: what a shop asks for sending lines, by template, region and weight or quantity.

Lines of one shop under one template are sent together: their fee is computed once and split over them by
what it was computed from, so that the parts sum exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from app.charges.documents import FreightFee, FreightTemplateDocument
from app.lib.bounds import AMOUNT_MINOR_MAX
from app.lib.money import split_pro_rata
from app.pricing.regions import ANYWHERE, narrowest_first


class FreightTemplate(Struct, frozen=True, gc=False, eq=False):
    """A template made ready: the fee of each region, under `ANYWHERE` that of all others, if there is one."""

    template_id: str
    shop_id: str
    currency: str
    fees: dict[str, FreightFee]

    def fee_for(self, region: str) -> FreightFee | None:
        """None: nothing is sent there."""
        for key in narrowest_first(region):
            if (fee := self.fees.get(key)) is not None:
                return fee
        return None


def freight_template(template_id: str, document: FreightTemplateDocument) -> FreightTemplate:
    fees: dict[str, FreightFee] = {region: rule for rule in document.rules for region in rule.regions}
    if document.default is not None:
        fees[ANYWHERE] = document.default
    return FreightTemplate(template_id, document.shop_id, document.currency, fees)


def split_fee(
    fee: FreightFee,
    quantities: Sequence[int],
    weights_grams: Sequence[int],
    cost_minor: int,
    convert: Callable[[int], int],
) -> list[int]:
    """The freight of each of the lines that are sent together.

    `quantities` and `weights_grams` are those of the lines, `cost_minor` is what the lines cost together, and
    `convert` brings an amount of the template's currency into that of `cost_minor`.
    """
    if _is_free(fee, sum(quantities), cost_minor, convert):
        return [0] * len(quantities)
    measures = weights_grams if fee.basis == "weight" else quantities
    fee_minor = min(convert(fee_of(fee, sum(measures))), AMOUNT_MINOR_MAX)
    # where nobody has weighed anything, the units share the first fee
    return split_pro_rata(fee_minor, measures if any(measures) else quantities)


def fee_of(fee: FreightFee, measure: int) -> int:
    """For so many grams or units, in the template's currency: a begun step costs like a full one."""
    over = measure - fee.first.upto
    if over <= 0 or fee.then is None:
        return fee.first.fee_minor
    return fee.first.fee_minor + -(-over // fee.then.step) * fee.then.fee_minor


def _is_free(fee: FreightFee, quantity: int, cost_minor: int, convert: Callable[[int], int]) -> bool:
    if fee.free_above_minor is not None and cost_minor >= convert(fee.free_above_minor):
        return True
    return fee.free_from_quantity is not None and quantity >= fee.free_from_quantity
