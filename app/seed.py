"""`rushcart seed`: load the demo shop, through the verbs that operators use.

What is there already is left alone, so a second start keeps what was changed since; only the flash sale is
followed by a new one when it has ended.
"""

from __future__ import annotations

import msgspec
import structlog

from app.addresses.keep import list_addresses, upsert_address
from app.addresses.schemas import UpsertAddress
from app.bootstrap import Services, open_services
from app.catalog.import_records import import_records
from app.catalog.read import read_shop
from app.coupons.administer import put_template, read_template
from app.coupons.give import grant
from app.coupons.schemas import Grant
from app.demo.catalog import SHOPS, demo_records
from app.demo.offers import POINTS_RULES, PROMOTIONS, RED_PACKET_POOL, TEMPLATES, flash_sale
from app.flash_sales.publish import publish
from app.flash_sales.read import read_flash_sale
from app.gift_cards.issue import issue
from app.gift_cards.schemas import IssueGiftCards
from app.lib.auth import Caller
from app.lib.errors import NotFound
from app.points.grant import grant_points
from app.points.rules import put_points_rules, read_points_rules
from app.points.schemas import GrantPoints
from app.promotions.administer import put_promotion, read_promotion
from app.red_packets.pools import fund, put_pool
from app.red_packets.schemas import FundPool, SendRedPackets
from app.red_packets.send import send
from app.settings import Settings

log = structlog.get_logger()

OPERATOR = Caller("demo", "op")
# The buyer of the tour.
BUYER = "42"
HOME = UpsertAddress(
    name="Lin Xiaoyu",
    phone="+86 138 0013 8000",
    country="CN",
    region="CN-SH",
    city="上海",
    street="Wukang Road 100",
    postcode="200031",
)
# A demo that is started every week for ten years.
FLASH_SALES_MAX = 520


async def run_seed(settings: Settings) -> None:
    """The command."""
    async with open_services(settings, name="seed") as services:
        await seed(services)


async def seed(services: Services) -> None:
    await _catalog(services)
    await _offers(services)
    await _buyer(services)
    await _balances(services)
    await _flash_sale(services)


async def _catalog(services: Services) -> None:
    try:
        await read_shop(services.pool, SHOPS[0].shop_id)
    except NotFound:
        async with services.pool.acquire() as connection:
            await import_records(connection, demo_records(), skip_bad=False, report=_refuse)


def _refuse(row: object) -> None:
    raise AssertionError(f"the demo's own catalog is wrong: {row}")


async def _offers(services: Services) -> None:
    for promotion_id, promotion in PROMOTIONS.items():
        try:
            await read_promotion(services.pool, OPERATOR, promotion_id)
        except NotFound:
            await put_promotion(services, OPERATOR, promotion_id, promotion)
    for template_id, (template, _) in TEMPLATES.items():
        try:
            await read_template(services.pool, OPERATOR, template_id)
        except NotFound:
            await put_template(services.pool, services.prices, OPERATOR, template_id, template)


async def _buyer(services: Services) -> None:
    """Coupons and an address for the tour; the key makes the grant count once."""
    for template_id, (_, given) in TEMPLATES.items():
        if given:
            await grant(services, OPERATOR, template_id, f"demo-{template_id}", Grant([BUYER]))
    if not (await list_addresses(services.pool, BUYER, "", 1)).items:
        await upsert_address(services.pool, services.ids, BUYER, HOME, services.clock.now())


async def _balances(services: Services) -> None:
    """Points, a red packet and a gift card for the tour's buyer; the keys make each count once."""
    if not (await read_points_rules(services.pool)).currencies:
        await put_points_rules(services.pool, services.prices, POINTS_RULES)
    await grant_points(services, OPERATOR, "demo-points", GrantPoints([BUYER], points=2_000))
    await put_pool(services.pool, OPERATOR, "welcome", RED_PACKET_POOL)
    await fund(services, OPERATOR, "welcome", "demo-welcome", FundPool(100_000))
    packet = SendRedPackets([BUYER], amount_minor=500, min_amount_minor=5_000, valid_days=365)
    await send(services, OPERATOR, "welcome", "demo-packet", packet)
    issued = await issue(services, OPERATOR, "demo-gift-card", IssueGiftCards(5_000, "CNY"))
    if not issued.replayed:
        log.info("gift_card_issued", cards=msgspec.json.decode(issued.body)["cards"])


async def _flash_sale(services: Services) -> None:
    """The first of flash-1, flash-2, … that has not ended is open, or published now."""
    now = services.clock.now()
    for number in range(1, FLASH_SALES_MAX + 1):
        activity_id = f"flash-{number}"
        try:
            sale = await read_flash_sale(services.pool, activity_id, now)
        except NotFound:
            await publish(services.pool, services.gate, OPERATOR, activity_id, flash_sale(now), now)
            log.info("flash_sale_published", activity_id=activity_id)
            return
        if sale.status != "ended":
            return
