"""A rush of orders with one code, in real processes: as many coupons as there are, one a buyer."""

from __future__ import annotations

import signal
from itertools import count

import msgspec
import pytest

from app.lib.auth import make_token
from app.runtime.process import end
from tests.faults.judge import judge_at_rest
from tests.faults.rush import PATH, Crowd, ask, post
from tests.faults.stack import LOOKS, READY_LIMIT_S, Stack
from tests.faults.strike import AT_ONCE, rush_and_strike
from tests.rows import put_sku, put_template
from tests.waiting import wait_until

BUYERS = 300
COUPONS = 60
WITH_CODE_MINOR = 9_000
_numbers = count(1)


def order(name: str, token: str, key: str, payable_minor: int = WITH_CODE_MINOR) -> bytes:
    """The bytes of a call that buys one, with the code; both are called as the template is."""
    lines = [{"sku_id": name, "quantity": 1}]
    body = {"currency": "CNY", "lines": lines, "coupon_codes": [name], "payable_minor": payable_minor}
    return post(PATH, token, key, msgspec.json.encode(body))


class CodeRush(Crowd):
    progress = "SELECT granted_count FROM coupon_template WHERE template_id = $1"

    def request(self, token: str, key: str) -> bytes:
        return order(str(self.subject), token, key)


@pytest.fixture
async def name(stack: Stack) -> str:
    """Goods and a code that every API process knows."""
    name = f"code-{next(_numbers)}"
    await put_sku(stack.services.pool, name, shop_id=f"shop-{name}", on_hand=BUYERS)
    await put_template(
        stack.services.pool, name, claimable=True, quantity_total=COUPONS, per_buyer_max=1, valid_days=7
    )
    await stack.services.pool.execute("UPDATE coupon_template SET code = $1 WHERE template_id = $1", name)
    request = order(name, make_token(stack.services.settings, sub="early", role="buyer"), "early", 0)

    async def priced() -> bool:
        return {(await ask(stack.port, request)).code for _ in range(LOOKS)} == {"price_changed"}

    await wait_until(priced, READY_LIMIT_S)
    await stack.wait_on_offer(name)
    return name


@pytest.mark.parametrize("struck", ["api", "postgres"])
async def test_what_is_killed_in_the_middle_spends_no_code_without_an_order(
    stack: Stack, name: str, struck: str
) -> None:
    def kill() -> None:
        if struck == "api":
            end(stack.apis[0].process(), ((signal.SIGKILL, 5.0),))
        else:
            stack.servers.postgres.kill()

    rush = CodeRush(stack.services.settings, name, name, BUYERS, at_once=AT_ONCE)
    running = await rush_and_strike(rush, stack.servers.database_url, kill)
    if struck == "api":
        stack.apis[0].start()
    else:
        stack.servers.postgres.start()
    await running
    held = await stack.services.pool.fetch(
        "SELECT buyer_id, order_id::text, status FROM coupon WHERE template_id = $1", name
    )
    assert [each["status"] for each in held] == ["locked"] * COUPONS
    order_of = {each["buyer_id"]: {each["order_id"]} for each in held}
    assert len(order_of) == COUPONS
    for buyer in rush.buyers:
        assert buyer.made_ids == order_of.get(buyer.buyer_id, set()), buyer
        assert buyer.outcome == ("placed" if buyer.made_ids else "price_changed"), buyer
    orders = "SELECT count(*) FROM order_line WHERE sku_id = $1"
    assert await stack.services.pool.fetchval(orders, name) == COUPONS
    await judge_at_rest(stack)
