"""The price that buyer and shop agree on: today's where the buyer saw it, else that of the buyer's quote.

Nearly always the cart costs what the buyer was shown, and no quote is read. Otherwise a quote that has not
expired holds, with the allocations it was made with; without one the order is refused with what has changed.
What the buyer was shown is more than an amount of money where points and cards pay, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.checkout.errors import PriceChanged
from app.lib import metrics
from app.pricing.cart import price_cart
from app.pricing.deductions import asks_for_any
from app.pricing.priced import Priced
from app.pricing.quote import Quote, differences, honour, takes_no_more
from app.pricing.schemas import CheckoutRequest, PriceDifference

if TYPE_CHECKING:
    from app.bootstrap import Services


async def agree(services: Services, buyer_id: str, body: CheckoutRequest, channel: str | None) -> Priced:
    """The client's amount is compared, never used. Raises PriceChanged, and as `price_cart` does."""
    now = await price_cart(services, buyer_id, body, channel)
    as_shown = now.summary.payable_minor == body.payable_minor
    if as_shown and not _may_hide_a_change(body):
        return now
    quote = await _quote(services, buyer_id, body)
    if as_shown and (quote is None or quote.payable_minor != body.payable_minor or takes_no_more(now, quote)):
        return now
    if quote is not None and quote.payable_minor == body.payable_minor and _has_codes(quote, body, now):
        if services.clock.now() < quote.expires_at:
            priced = honour(quote, now, services.prices.book, services.hints)
            if priced is not None:
                metrics.QUOTES.count("honoured")
                return priced
        else:
            metrics.QUOTES.count("expired")
    raise _changed(services, buyer_id, body, now, quote)


def _may_hide_a_change(body: CheckoutRequest) -> bool:
    """Whether the same money may be due although the cart costs more: a card pays the difference."""
    return body.quote_id is not None and (body.payable_minor == 0 or asks_for_any(body))


async def price_changed(
    services: Services, buyer_id: str, body: CheckoutRequest, channel: str | None
) -> PriceChanged:
    """What the cart costs now that neither today's price nor the quote could be had."""
    now = await price_cart(services, buyer_id, body, channel)
    return _changed(services, buyer_id, body, now, await _quote(services, buyer_id, body))


async def _quote(services: Services, buyer_id: str, body: CheckoutRequest) -> Quote | None:
    """A forged quote, somebody else's and another cart's are lost ones."""
    if body.quote_id is None:
        return None
    quote = await services.quotes.find(body.quote_id)
    if quote is None or not quote.is_for(buyer_id, body):
        metrics.QUOTES.count("lost")
        return None
    return quote


def _has_codes(quote: Quote, body: CheckoutRequest, now: Priced) -> bool:
    """Whether this buyer can redeem, as things stand, the codes that the quote lowers the price by."""
    coupons = {rule_id for kind, rule_id, *_ in quote.applied if kind == "coupon"}
    codes = coupons.intersection(body.coupon_codes)
    return not codes or (now.codes is not None and codes <= {*now.codes.codes})


def _changed(
    services: Services, buyer_id: str, body: CheckoutRequest, now: Priced, quote: Quote | None
) -> PriceChanged:
    """With the new summary, which is a quote like any other, and what it differs by from the old one."""
    summary = now.summary
    what = f"{summary.payable_minor} {body.currency} (minor units), not {body.payable_minor}"
    if summary.payable_minor == body.payable_minor:
        what = "more of points, cards or coupons than was quoted"
    services.quotes.keep(buyer_id, body, now)
    if quote is None:
        difference = [PriceDifference("payable_minor", body.payable_minor, summary.payable_minor)]
    else:
        difference = differences(quote, summary)
    return PriceChanged(
        f"it costs {what}",
        summary=summary,
        difference=difference,
    )
