"""The page that members share: what it says, to whom, and that nothing of a shop's text becomes markup."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO
from typing import Any

import httpx
import msgspec
import pytest
from PIL import Image

from app.bootstrap import Services
from app.groups.schemas import Group
from app.groups.settle import settle_due
from app.lib.money import in_major
from app.share_page.card import SIZE, WIDTH, Card, _font, draw, drawable, fitting
from app.share_page.page import render, stand, word
from tests.groups.conftest import Shop

HTML = "text/html; charset=utf-8"


async def page(shop: Shop, group_id: str) -> httpx.Response:
    code = (await shop.group(group_id))["share_code"]
    answer = await shop.client.get(f"/g/{code}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, HTML)
    return answer


async def test_a_friend_sees_what_it_is_how_it_stands_and_how_to_join(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("annabel")
    answer = await page(shop, group_id)
    text = answer.text
    item_id = shop.campaign["items"][0]["campaign_item_id"]
    for expected in (
        "<h1>Tea</h1>",
        "80.00 CNY",
        "<s>100.00 CNY</s>",
        'id="paid">1</b> of <b>3</b> have paid',
        'id="free">2</b> free',
        "a***l",
        f'href="rushcart://groupbuy/join?group_id={group_id}&amp;campaign_item_id={item_id}"',
        "If you do not have it yet",
    ):
        assert expected in text
    assert "annabel" not in text
    assert answer.headers["cache-control"] == "public, max-age=2"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_button_leads_to_the_shops_own_link_with_what_the_app_needs(shop: Shop) -> None:
    await shop.open(skus=("1001", "1002"))
    sku = "UPDATE sku SET attributes = $1 WHERE sku_id = $2"
    await shop.services.pool.execute(sku, {"size": "L"}, "1002")
    group_id = await shop.paid("ann")
    group = msgspec.convert(await shop.group(group_id), Group)
    first, second = (item.campaign_item_id for item in group.items)
    text = render(group, "https://shop.example/join?from=group")
    for item_id, name in ((first, "Tea"), (second, "L")):
        link = f"https://shop.example/join?from=group&amp;group_id={group_id}&amp;campaign_item_id={item_id}"
        assert f'<a class="go" href="{link}">Join: {name} for 80.00 CNY</a>' in text
    closed = [msgspec.structs.replace(item, sell_status="CLOSED") for item in group.items]
    text = render(msgspec.structs.replace(group, items=closed), "https://shop.example/join")
    assert "The sale is closed" in text
    assert 'class="go"' not in text


async def test_messengers_find_a_title_a_sentence_and_a_picture_of_the_right_size(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    group = await shop.group(group_id)
    text = (await page(shop, group_id)).text
    card = dict(re.findall(r'<meta property="og:([\w:]+)" content="([^"]*)">', text))
    assert (card["title"], card["site_name"], card["url"]) == ("Tea for 80.00 CNY", "Tea", group["share_url"])
    assert card["description"].startswith("1 of 3 are in, 2 places left, until ")
    assert card["image"] == f"{group['share_url']}/card.png?v=1"
    assert (card["image:width"], card["image:height"]) == ("1200", "630")
    answer = await shop.client.get(f"/g/{group['share_code']}/card.png?v=1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    with Image.open(BytesIO(answer.content)) as image:
        assert image.size == SIZE
    assert len(answer.content) < 100_000


async def test_nothing_that_a_shop_writes_becomes_markup(shop: Shop) -> None:
    await shop.open()
    evil = "\"><script>alert('x')</script>"
    await shop.services.pool.execute("UPDATE item SET title = $1", evil)
    await shop.services.pool.execute("UPDATE shop SET name = $1", evil)
    sku = "UPDATE sku SET attributes = $1"
    await shop.services.pool.execute(sku, {"size": evil})
    text = (await page(shop, await shop.paid("\"'<b>ann"))).text
    assert "alert(" in text
    assert "<script>alert" not in text
    assert text.count("<script>") == 1  # the page's own
    assert "<b>ann" not in text


async def test_the_browser_may_run_and_load_only_what_is_the_pages_own(shop: Shop) -> None:
    await shop.open()
    answer = await page(shop, await shop.paid("ann"))
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy.pop("script-src").startswith("'sha256-")
    assert policy.pop("style-src").startswith("'sha256-")
    assert policy == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert re.search(r' (style|on\w+)="', answer.text) is None


async def test_an_unknown_code_is_a_friendly_page(shop: Shop) -> None:
    for code in ("abcdefghijkl", "x" * 65, "a%00b", "%E2%98%83", "a%20b"):
        answer = await shop.client.get(f"/g/{code}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, HTML), code
        assert "There is no such group" in answer.text
        assert "content-security-policy" in answer.headers
        card = await shop.client.get(f"/g/{code}/card.png")
        assert (card.status_code, card.json()["code"]) == (404, "group_not_found"), code


async def test_while_the_ledger_is_away_the_page_tries_again_by_itself(
    client: httpx.AsyncClient, services: Services
) -> None:
    await services.pool.close()
    answer = await client.get("/g/abcdefghijkl")
    assert (answer.status_code, answer.headers["content-type"]) == (503, HTML)
    assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("5", "no-store")
    assert "content-security-policy" in answer.headers
    assert "<h1>One moment, please</h1>" in answer.text
    assert '<meta http-equiv="refresh" content="5">' in answer.text
    card = await client.get("/g/abcdefghijkl/card.png")
    assert (card.status_code, card.json()["code"]) == (503, "ledger_down")


async def test_a_group_that_is_over_says_so(shop: Shop) -> None:
    await shop.open()
    full = await shop.paid("ann")
    for buyer in ("bo", "cy"):
        await shop.paid(buyer, full)
    late = await shop.paid("dee")
    shop.clock.advance(timedelta(seconds=3_616))
    await settle_due(shop.services, shop.clock.now(), 10)
    withdrawn = await shop.paid("eve")
    path = f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw"
    await shop.call(shop.op, "POST", path, {"reason": "recalled"})
    await settle_due(shop.services, shop.clock.now(), 10)
    for group_id, expected in (
        (full, "This group has succeeded"),
        (late, "Not enough friends came in time."),
        (withdrawn, "The shop has withdrawn this offer."),
    ):
        answer = await page(shop, group_id)
        assert expected in answer.text
        assert ("gets the money back" in answer.text) is (group_id != full)
        assert "groupbuy/join?group_id" not in answer.text
        assert "<script>" not in answer.text
        assert answer.headers["cache-control"] == "public, max-age=3600"


async def test_the_page_knows_each_way_in_which_an_open_group_stands(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    group = msgspec.convert(await shop.group(group_id), Group)
    replace = msgspec.structs.replace
    stands = {
        "open": replace(group, members=2),
        "full": replace(group, members=3),
        "complete": replace(group, members=3, members_paid=3),
        "deciding": replace(group, now=group.ends_at),
    }
    assert {stand(each): word(each) for each in stands.values()} == {
        "open": "2 of 3 are in, 1 place left",
        "full": "All places are taken for now",
        "complete": "All places are taken",
        "deciding": "The time is over",
    }
    assert [stand(each) for each in stands.values()] == list(stands)


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({}, False),
        ({"stock_policy": "each_member", "complete_from_bp": 5_000}, False),
        ({"stock_policy": "on_success"}, True),
        ({"complete_from_bp": 5_000}, True),
    ],
)
async def test_who_joins_is_told_before_where_the_goods_may_not_suffice_for_all(
    shop: Shop, terms: dict[str, Any], told: bool
) -> None:
    await shop.open(**terms)
    group_id = await shop.paid("ann")
    group = await shop.group(group_id)
    expected = {"stock_policy": "last_member", "complete_from_bp": None} | terms
    assert {name: group[name] for name in expected} == expected
    assert ("whoever paid first gets it" in (await page(shop, group_id)).text) is told
    for buyer in ("bo", "cy"):
        await shop.paid(buyer, group_id)
    await settle_due(shop.services, shop.clock.now(), 10)
    text = (await page(shop, group_id)).text
    assert "Everyone in it has an order" in text
    assert ("or the money back if there were too few for all" in text) is told


def test_prices_are_read_as_the_currency_is_counted() -> None:
    shown = [in_major(108_000, currency) for currency in ("CNY", "JPY", "KWD")]
    assert shown == ["1,080.00 CNY", "108,000 JPY", "108.000 KWD"]


def test_a_title_is_written_in_chinese_and_what_the_font_lacks_is_left_out() -> None:
    assert drawable("West Lake Longjing · 西湖龙井") == "West Lake Longjing · 西湖龙井"
    assert drawable("ร้านชา 🍵 Tea  龙井\u2028茶") == "Tea 龙井 茶"
    assert drawable("ชา") == ""
    assert drawable("Cafe\u0301") == "Café"
    blank = draw(Card("", "ชา", "80.00 CNY", None, 3, 1, "open"))
    written = draw(Card("", "龙井", "80.00 CNY", None, 3, 1, "open"))
    assert blank == draw(Card("", "", "80.00 CNY", None, 3, 1, "open"))
    assert written != blank


def test_a_long_title_ends_in_an_ellipsis_within_the_card() -> None:
    for title in ("西湖龙井明前特级" * 20, "tea " * 80, "t" * 255, "Tea"):
        lines = fitting(title, 62, 2)
        assert len(lines) <= 2
        assert all(_font(62).getlength(line) <= WIDTH for line in lines)
        assert lines[-1].endswith("…") is (title != "Tea")
