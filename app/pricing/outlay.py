"""What the buyer pays in the end, freight and tax included: by this promotions and coupons are chosen.

Pure. Of two sets of rules the one that takes more off the goods may cost more in the end: it brings the goods
below what is sent for nothing, or leaves no room for the coupon that frees the freight. What pays for the
cart instead of money (points, cards) makes no set better than another and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from app.lib.money import WHOLE_BP, percent_half_up
from app.pricing.book import PriceBook
from app.pricing.charges import Parcel, charge, converter_of, pack
from app.pricing.documents import FreeFreight
from app.pricing.freight import split_fee
from app.pricing.lines import Basket
from app.pricing.tax import TaxRule, rule_of
from app.pricing.walk import Entry, Walk


class Floor(Struct, frozen=True, gc=False):
    """What a cart costs at least for what its goods come to, whatever else is chosen."""

    freight_minor: int
    # the lowest rate on top that any of its lines has
    tax_bp: int
    # each rate of each shop is rounded once
    rounding_minor: int

    def at_least_minor(self, goods_minor: int) -> int:
        goods_minor = max(goods_minor, 0)
        tax_minor = max(0, goods_minor * self.tax_bp // WHOLE_BP - self.rounding_minor)
        return goods_minor + tax_minor + self.freight_minor


class Sending(Struct, frozen=True, gc=False):
    """A parcel ready to be charged: what each of its lines bears, unless they come to `free_above_minor`."""

    indexes: Sequence[int]
    freight: Sequence[int]
    free_above_minor: int | None


class Taxing(Struct, frozen=True, gc=False):
    """Lines that are taxed together, on top; and those of them whose freight is taxed with them."""

    rate_bp: int
    indexes: list[int]
    with_freight: list[int]


class Ready(Struct, frozen=True, gc=False):
    parcels: list[Sending]
    taxes: list[Taxing]
    # the lowest rate on top that any line has
    tax_bp: int


class Outlay:
    """The charges of one cart, for any walk of rules over it; made ready when first asked for."""

    def __init__(self, basket: Basket, book: PriceBook, region: str | None) -> None:
        self._basket, self._book, self._region = basket, book, region
        self._ready: Ready | None = None

    @property
    def freight_is_unknown(self) -> bool:
        return self._region is None and bool(pack(self._basket, self._book))

    def payable_minor(self, walk: Walk) -> int:
        """Raises CurrencyNotSold, as charging does."""
        goods_minor = sum(walk.left)
        if walk.freed:
            trial = Walk(walk.left, [], [], walk.freed)  # whose misses are nobody's
            charges = charge(self._basket, trial, self._book, self._region)
            return goods_minor if charges is None else goods_minor + sum(charges.freight) + sum(charges.tax)
        return goods_minor + self._charged_minor(walk.left)

    def floor(self, walk: Walk, entries: Iterable[Entry]) -> Floor:
        """For all that can become of the walk with some of these entries: goods only get cheaper.

        Freight is never less than at the walk's prices, but for what is freed.
        """
        freight = self._freight(self._costs(walk.left))
        freight_minor = sum(freight)
        for entry in (*(freed.entry for freed in walk.freed), *entries):
            if isinstance(entry.rule.effect, FreeFreight):
                freed_minor = sum([freight[index] for index in entry.indexes])
                freight_minor -= min(freed_minor, entry.rule.max_discount_minor or freed_minor)
        return Floor(max(0, freight_minor), self._prepare().tax_bp, len(freight))

    def _charged_minor(self, left: Sequence[int]) -> int:
        """As charges.py computes it, without telling whose it is."""
        costs = self._costs(left)
        freight = self._freight(costs)
        charged_minor = sum(freight)
        for tax in self._prepare().taxes:
            taxed_minor = sum([costs[index] for index in tax.indexes])
            taxed_minor += sum([freight[index] for index in tax.with_freight])
            charged_minor += percent_half_up(taxed_minor, tax.rate_bp)
        return charged_minor

    def _costs(self, left: Sequence[int]) -> Sequence[int]:
        bills = self._basket.bills
        return [minor + bills.get(index, 0) for index, minor in enumerate(left)] if bills else left

    def _freight(self, costs: Sequence[int]) -> list[int]:
        freight = [0] * len(costs)
        for parcel in self._prepare().parcels:
            free_above_minor = parcel.free_above_minor
            if free_above_minor is None or sum([costs[index] for index in parcel.indexes]) < free_above_minor:
                for index, part in zip(parcel.indexes, parcel.freight, strict=True):
                    freight[index] = part
        return freight

    def _prepare(self) -> Ready:
        if self._ready is None:
            parcels = pack(self._basket, self._book) if self._region is not None else []
            rules = [
                rule_of(line.sku, self._region, self._book.taxes_by_region) for line in self._basket.lines
            ]
            on_top = [0 if rule is None or rule.included else rule.rate_bp for rule in rules]
            sent = [self._sending(parcel) for parcel in parcels]
            self._ready = Ready([each for each in sent if each is not None], self._taxes(rules), min(on_top))
        return self._ready

    def _sending(self, parcel: Parcel) -> Sending | None:
        """None: it is not sent there."""
        fee = parcel.template.fee_for(self._region or "")
        if fee is None:
            return None
        convert = converter_of(parcel, self._basket, self._book)
        lines = [self._basket.lines[index] for index in parcel.indexes]
        weights = [line.sku.weight_grams * line.quantity for line in lines]
        nothing_minor = -1  # below every `free_above_minor`
        freight = split_fee(fee, [line.quantity for line in lines], weights, nothing_minor, convert)
        free_above = fee.free_above_minor
        return Sending(parcel.indexes, freight, None if free_above is None else convert(free_above))

    def _taxes(self, rules: Sequence[TaxRule | None]) -> list[Taxing]:
        groups: dict[tuple[str, int], Taxing] = {}
        for index, (line, rule) in enumerate(zip(self._basket.lines, rules, strict=True)):
            if rule is not None and rule.rate_bp and not rule.included:
                key = (line.sku.shop_id, rule.rate_bp)
                group = groups.setdefault(key, Taxing(rule.rate_bp, [], []))
                group.indexes.append(index)
                if rule.applies_to_freight:
                    group.with_freight.append(index)
        return list(groups.values())


def outlay_of(basket: Basket, book: PriceBook, region: str | None) -> Outlay | None:
    """None: nothing is charged beside the goods."""
    return Outlay(basket, book, region) if book.freight_templates or book.tax_rules else None


def total_minor(walk: Walk, outlay: Outlay | None) -> int:
    """What the walk's rules let the cart come to."""
    return sum(walk.left) if outlay is None else outlay.payable_minor(walk)
