"""The story of an order: agree on the price, pass the gate, make it durable.

Enters a request, leaves the placed order's answer or an AppError that changed nothing. A key that has placed
an order always gets that order's answer, whatever would refuse it now.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.checkout.agree import agree, price_changed
from app.checkout.deliver_to import required
from app.checkout.draft import draft_checkout
from app.checkout.errors import AddressMoved, OutOfStock, RuleSpent
from app.checkout.pass_gate import give_back, pass_gate
from app.checkout.schemas import Checkout
from app.coupons import code_ledger
from app.coupons.give import tell, tell_again
from app.lib import metrics
from app.lib.errors import AppError, OutcomeUnknown, Unavailable
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, Once, identify
from app.pricing.priced import Priced
from app.pricing.schemas import CheckoutRequest

if TYPE_CHECKING:
    from app.bootstrap import Services

CALL = "checkout/entries"


async def place(services: Services, request: HotRequest[CheckoutRequest]) -> Answer:
    """Place the order for a cart at the price that the buyer saw."""
    assert request.caller is not None
    once = identify(CALL, request.caller.sub, request.idempotency_key, request.body)
    try:
        answer = await services.placing.in_progress.run(
            once, lambda: _place(services, once, request.body, request.channel)
        )
    except AppError as refused:
        metrics.CHECKOUTS.count(refused.code)
        raise
    metrics.CHECKOUTS.count("replayed" if answer.replayed else "placed")
    if answer.replayed and request.body.coupon_codes:
        shown = [(code, once.caller_id) for code in request.body.coupon_codes]
        await tell_again(services, (await code_ledger.read(services.pool, shown)).numbers)
    return answer


async def _place(services: Services, once: Once, body: CheckoutRequest, channel: str | None) -> Answer:
    """A gift that is gone holds no order up: it is left out, and the same cart tried once more."""
    gifts: dict[str, int] = {}
    try:
        return await _attempt(services, once, body, channel, gifts)
    except OutOfStock as refused:
        gone = [gifts[sku_id] for sku_id in refused.members["sku_ids"] if sku_id in gifts]
        if not gone:
            raise
        services.hints.note_gone(gone)
        return await _attempt(services, once, body, channel, gifts)


async def _attempt(
    services: Services, once: Once, body: CheckoutRequest, channel: str | None, gifts: dict[str, int]
) -> Answer:
    """`gifts` takes the pools of the gifts that are among the lines, by SKU."""
    placing = services.placing
    try:
        placing.sold_out.check(body, services.prices.book)
        priced = await agree(services, once.caller_id, body, channel)
        gifts |= {line.sku.sku_id: line.pool_id for line in priced.lines if line.gift}
        checkout = await _draft(services, once, body, channel, priced)
        await pass_gate(services.gate, placing.sold_out, checkout)
    except Unavailable:
        raise
    except AppError:
        if (earlier := await placing.replays.find(once)) is not None:
            return earlier
        raise
    try:
        answer = await placing.committer.place(checkout)
    except OutcomeUnknown:
        raise
    except RuleSpent as spent:
        services.prices.learn_uses(spent.taken)
        raise await price_changed(services, once.caller_id, body, channel) from None
    except AddressMoved:  # by another process, since its region was remembered
        services.regions.forget(once.caller_id, required(body.address_id))
        return await _attempt(services, once, body, channel, gifts)
    except Unavailable:  # it never reached the ledger
        await give_back(services.gate, checkout)
        raise
    if checkout.coupon_ids or checkout.codes:
        await services.coupons.forget([once.caller_id])
    if checkout.given is not None:
        await tell(services, [checkout.given])
    return answer


async def _draft(
    services: Services, once: Once, body: CheckoutRequest, channel: str | None, priced: Priced
) -> Checkout:
    address_id = None
    if any([line.sku.item_type == "physical" for line in priced.lines]):
        address_id = required(body.address_id)
        if priced.unserved:  # where the address was a moment ago
            services.regions.forget(once.caller_id, address_id)
            priced = await agree(services, once.caller_id, body, channel)
        if priced.unserved:
            raise AddressBlocked("the shop does not send these there", sku_ids=priced.unserved)
    elif sku_ids := priced.address_taxed:
        raise AddressInvalid("their tax needs an address_id", field="address_id", sku_ids=sku_ids)
    now = services.clock.now()
    return draft_checkout(
        once,
        body,
        priced,
        address_id,
        created_at=now,
        pay_deadline=now + timedelta(seconds=services.settings.pay_timeout_s),
        next_id=services.ids.next,
    )
