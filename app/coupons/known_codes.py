"""Codes that carts name, for a price: what each would become, and why others would become nothing.

Nothing is redeemed, and nothing cached: a used-up code is told at once. Asked of the ledger in batches; only
carts with codes ask. A code that is not known costs a call more (`charge`), so that pricing guesses codes no
faster than redeeming does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from app.coupons import code_ledger
from app.coupons.codes import Codes, WantedCode
from app.coupons.errors import CodeNotFound
from app.coupons.take import region_of
from app.lib.batching import Batcher
from app.lib.errors import AppError
from app.lib.hot import Client, address_of
from app.lib.postgres import Pool
from app.pricing.buyer import BuyerCoupon
from app.pricing.rules import milliseconds
from app.pricing.schemas import CartRequest, Rejected

if TYPE_CHECKING:
    from app.bootstrap import Services

# As of the purses: four small queries a batch; two lanes read while another is judged.
BATCH_SIZE_MAX = 128
LANES_MAX = 2
BACKLOG_MAX = 8_192
# Who has not logged in. No buyer's id is empty.
NOBODY = ""


class Asked(Struct, frozen=True, gc=False):
    """The codes of one cart, and whose it is."""

    codes: Sequence[str]
    buyer_id: str


class CartCodes(Struct, frozen=True):
    """`coupons`: by code, the coupon that it would be now. `region`: where the buyer lives, if known."""

    coupons: Mapping[str, BuyerCoupon] = {}
    refused: Sequence[Rejected] = ()
    region: str | None = None


NO_CODES = CartCodes()


class KnownCodes:
    """`of` reads, `stop` finishes what was asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._batcher: Batcher[Asked, Codes] = Batcher(
            self._read_batch,
            name="codes",
            size_max=BATCH_SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def of(self, asked: Asked) -> Codes:
        """These codes, perhaps among others. Raises Unavailable when too many wait, and Postgres' errors."""
        return await self._batcher.submit(asked)

    async def stop(self) -> None:
        await self._batcher.stop()

    async def _read_batch(self, batch: list[Asked]) -> list[Codes]:
        shown = {(code, asked.buyer_id) for asked in batch for code in asked.codes}
        return [await code_ledger.read(self._pool, shown)] * len(batch)


async def codes_of_cart(
    services: Services, buyer_id: str | None, cart: CartRequest, client: Client = None
) -> CartCodes:
    """What the cart's codes would become; NO_CODES where it names none, and only there.

    Of who has not logged in the limits for one buyer cannot be known. Raises TooManyRequests where too many
    unknown codes were tried, and as `KnownCodes.of` does.
    """
    if not cart.coupon_codes:
        return NO_CODES
    if buyer_id is None:
        limiter, caller_key = services.code_limiter, address_of(client)
        limiter.check(caller_key)
        region = cart.region
    else:
        limiter, caller_key = services.rate_limiter, buyer_id
        region = await region_of(services, buyer_id, cart.address_id)
    asked = Asked(cart.coupon_codes, buyer_id or NOBODY)
    judged = judge(await services.codes.of(asked), asked, region, services.clock.now())
    unknown = sum(each.code == CodeNotFound.code for each in judged.refused)
    if unknown:
        limiter.charge(caller_key, unknown)
    return judged


def judge(codes: Codes, asked: Asked, region: str | None, now: datetime) -> CartCodes:
    """As redeeming would, one after the other: two codes may be of a template of which a buyer has one."""
    trial = codes.trial()
    coupons: dict[str, BuyerCoupon] = {}
    refused: list[Rejected] = []
    for code in sorted(set(asked.codes)):
        try:
            coupon = trial.redeem(WantedCode(code, region, 0, 0), asked.buyer_id, now)
        except AppError as refusal:
            refused.append(Rejected("coupon", code, codes.name(code), refusal.code))
        else:
            coupons[code] = BuyerCoupon(
                code,
                coupon.template_id,
                "available",
                milliseconds(coupon.valid_from),
                milliseconds(coupon.valid_to),
            )
    return CartCodes(coupons, refused, region)
