"""The order of the lanes is a deployment's choice, and its typing mistakes do not start."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.bootstrap import Services, open_services
from app.pricing.lanes import LANES
from app.settings import Settings
from tests.pricing.build import book, coupon, priced, promotion, sku, template

TEN_PERCENT = {"kind": "percent_off", "percent_bp": 1000}
COUPONS_FIRST = ("shop_coupon", "platform_coupon", *(each for each in LANES if not each.endswith("coupon")))


@pytest.mark.parametrize(
    ("lanes", "applied", "payable_minor"),
    [(LANES, ["p", "q", "1"], 7000), (COUPONS_FIRST, ["1", "p", "q"], 7200)],
)
def test_the_configured_order_of_lanes_decides_the_price(
    lanes: tuple[str, ...], applied: list[str], payable_minor: int
) -> None:
    shop = book(
        sku("a", 10_000),
        promotion("p", TEN_PERCENT, lane="item", lanes=lanes),
        promotion("q", {"kind": "percent_off", "percent_bp": 1111}, lane="platform", lanes=lanes),
        template("t", {"kind": "amount_off", "amount_minor": 1000}, lanes=lanes),
    )
    for fields in ({}, {"auto_coupons": True}):
        summary = priced(shop, {"a": 1}, coupon("1", "t"), **fields).summary
        assert [each.rule_id for each in summary.applied] == applied
        assert summary.payable_minor == payable_minor


@pytest.mark.parametrize(
    ("lanes", "said"),
    [
        (LANES[:-1], "gift_card missing"),
        ((*LANES, "moon"), "there is no lane moon"),
        ((*LANES, "item"), "named twice"),
    ],
)
def test_lanes_that_are_not_each_named_once_do_not_start(lanes: tuple[str, ...], said: str) -> None:
    settings = Settings(database_url="postgresql://x", redis_url="redis://y", lanes=lanes)
    with pytest.raises(SystemExit, match=said):
        settings.check()


async def test_the_price_book_follows_the_setting(services: Services, settings: Settings) -> None:
    document = '{"name": "P", "lane": "shop", "effect": {"kind": "percent_off", "percent_bp": 1000}}'
    await services.pool.execute(
        "INSERT INTO promotion (promotion_id, document, version) VALUES ('p', $1::text::jsonb, 1)", document
    )
    await services.pool.execute("UPDATE snapshot_version SET version = 1 WHERE name = 'promotions'")
    async with open_services(replace(settings, lanes=COUPONS_FIRST), name="other") as other:
        assert other.prices.book.promotions["p"].lane == COUPONS_FIRST.index("shop")
