"""Freight templates, tax rules and exchange rates as operators send them.

Unknown fields are refused, every number and list is bounded. A region is a country (`CN`) or a part of one
(`CN-SH`, ISO 3166-2); the narrower one counts. Amounts are integers in minor units, weights in grams.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from app.lib.bounds import AMOUNT_MINOR_MAX, QUANTITY_MAX, Currency, Id, Name, Time, in_utc
from app.lib.money import WHOLE_BP, is_currency

# More than this for one step is a typing mistake; and with it a parcel's fee stays a number that fits.
FEE_MINOR_MAX = 10**9
# A hundred tonnes: above it nothing is sent as a parcel.
MEASURE_MAX = 10**8
# Every province or state of a large country by itself, and its neighbours.
RULES_MAX = 100
REGIONS_MAX = 300

Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$(?!\n)")]
Regions = Annotated[list[Region], Meta(max_length=REGIONS_MAX)]
FeeMinor = Annotated[int, Meta(ge=0, le=FEE_MINOR_MAX)]
Measure = Annotated[int, Meta(ge=1, le=MEASURE_MAX)]


# Ten years of one currency, day by day, or a year of ten.
RATES_MAX = 3_700


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """What all parts of a document share: unknown fields are refused."""


class FirstStep(Document, frozen=True):
    """What it costs up to this many grams or units, inclusive."""

    upto: Measure
    fee_minor: FeeMinor


class NextSteps(Document, frozen=True):
    """What every further step costs, a begun one too."""

    step: Measure
    fee_minor: FeeMinor


class FreightFee(Document, frozen=True, kw_only=True):
    """What sending costs: by the grams or the units of all lines together, or nothing from a limit on.

    Without `then` the first fee is all. Both limits are inclusive, and one of them is enough.
    """

    basis: Literal["weight", "quantity"]
    first: FirstStep
    then: NextSteps | None = None
    free_above_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    free_from_quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX)] | None = None


class RegionalFee(FreightFee, frozen=True, kw_only=True):
    """What sending to these regions costs."""

    regions: Annotated[list[Region], Meta(min_length=1, max_length=REGIONS_MAX)]


class FreightTemplateDocument(Document, frozen=True, kw_only=True):
    """A shop's freight. Without `default`, nothing is sent to regions that no rule names."""

    shop_id: Id
    currency: Currency
    name: Name
    rules: Annotated[list[RegionalFee], Meta(max_length=RULES_MAX)] = []
    default: FreightFee | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency)
        if not self.rules and self.default is None:
            raise ValueError("it serves nowhere: give `rules` or a `default`")
        check_once(region for rule in self.rules for region in rule.regions)


class TaxRuleDocument(Document, frozen=True, kw_only=True):
    """A rate for these regions and categories; an empty list means all, no `shop_id` all shops.

    `included`: the prices contain it, so nothing comes on top. `address_required`: goods that are not sent,
    and that it could tax, are sold only to an address, so that nobody saves the tax by giving none.
    """

    name: Name
    rate_bp: Annotated[int, Meta(ge=0, le=WHOLE_BP)]
    shop_id: Id | None = None
    regions: Regions = []
    category_ids: Annotated[list[Id], Meta(max_length=1000)] = []
    included: bool = False
    applies_to_freight: bool = False
    address_required: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        check_once(self.regions)
        if self.address_required is True and not self.regions:
            raise ValueError("`address_required` goes with `regions`: another rule holds without an address")


class FxRateDocument(Document, frozen=True, kw_only=True):
    """So much of `currency` for one of the base, in major units ("0.1389"), from a time on."""

    currency: Currency
    rate: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$(?!\n)")]
    valid_from: Time

    def __post_init__(self) -> None:
        check_currency(self.currency)
        if not self.rate.strip("0."):
            raise ValueError("a rate is above zero")
        force_setattr(self, "valid_from", in_utc(self.valid_from))


class FxRatesDocument(Document, frozen=True, kw_only=True):
    """All rates of a base; they replace those that it had."""

    base: Currency
    rates: Annotated[list[FxRateDocument], Meta(max_length=RATES_MAX)]

    def __post_init__(self) -> None:
        check_currency(self.base)
        if any(rate.currency == self.base for rate in self.rates):
            raise ValueError("a rate goes to another currency than the base")
        if len({(rate.currency, rate.valid_from) for rate in self.rates}) < len(self.rates):
            raise ValueError("a currency has two rates from one time on")


def check_currency(currency: str) -> None:
    """Raises ValueError, which the decoder turns into a refusal."""
    if not is_currency(currency):
        raise ValueError(f"{currency} is not a currency of ISO 4217")


def check_once(regions: Iterable[str]) -> None:
    """Raises ValueError for a region that is named twice: which of them would count?"""
    seen: set[str] = set()
    for region in regions:
        if region in seen:
            raise ValueError(f"the region {region} is named twice")
        seen.add(region)
