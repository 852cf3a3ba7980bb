"""The share page in a real browser, as a friend's phone shows it: with its script, and without.

RUSHCART_PICTURE=FILE keeps a picture of it (`make picture`).
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from app.events_out.relay import export_all
from app.groups.settle import settle_due
from app.lib.hot import Front
from tests.browser import browser
from tests.groups.conftest import Shop
from tests.sandbox.process import free_port, serving

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 700}, "device_scale_factor": 2}
PICTURED: Any = {"x": 0, "y": 0, "width": 390, "height": 550}
# A loaded machine's browser.
expect.set_options(timeout=15_000)


@pytest.fixture
async def address(front: Front) -> AsyncIterator[str]:
    port = free_port()
    async with serving(front, port):
        yield f"http://127.0.0.1:{port}"


async def rename(shop: Shop) -> None:
    """Words that a picture is worth of."""
    await shop.services.pool.execute("UPDATE item SET title = 'West Lake Longjing · 西湖龙井'")
    await shop.services.pool.execute("UPDATE shop SET name = 'Lan''s Tea · 兰茶'")


async def open_page(page: Page, address: str, shop: Shop, group_id: str) -> list[str]:
    """The page, and what went wrong on it from here on: errors of its script, refusals of its policy."""
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    answer = await page.goto(f"{address}/g/{(await shop.group(group_id))['share_code']}")
    assert answer is not None
    assert answer.status == 200
    return faults


async def test_the_page_lives_from_the_first_member_to_the_end(
    shop: Shop, address: str, tmp_path: Path
) -> None:
    await shop.open()
    await rename(shop)
    group_id = await shop.paid("xiaoyu-lin")
    async with browser(tmp_path) as opened:
        page = await opened.new_page(**PHONE)
        faults = await open_page(page, address, shop, group_id)
        await expect(page.locator("#countdown")).to_have_text(re.compile(r"^in 00:5\d:\d\d$"))
        await expect(page.locator("#people li")).to_have_text(["x***n", "free", "free"])
        await shop.paid("mei-42", group_id)
        await export_all(shop.services)
        await expect(page.locator("#paid")).to_have_text("2")
        await expect(page.locator("#people li")).to_have_text(["x***n", "m***2", "free"])
        await expect(page.get_by_role("link", name="Join for 80.00 CNY")).to_be_visible()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == PHONE["viewport"]["width"]
        if picture := os.environ.get("RUSHCART_PICTURE"):
            await page.screenshot(path=picture, clip=PICTURED)
        last = await shop.order("bo-7777", group_id)
        await expect(page.get_by_text("All places are taken for now")).to_be_visible()
        await expect(page.get_by_role("link", name="Join")).to_have_count(0)
        await shop.captured(await shop.start_payment("bo-7777", last["order_id"]))
        await settle_due(shop.services, shop.clock.now(), 10)
        await expect(page.get_by_text("This group has succeeded.")).to_be_visible()
        assert faults == []


async def test_without_its_script_the_page_says_all_there_is(
    shop: Shop, address: str, tmp_path: Path
) -> None:
    await shop.open()
    group_id = await shop.paid("ann-1")
    async with browser(tmp_path) as opened:
        context = await opened.new_context(**PHONE, java_script_enabled=False)
        page = await context.new_page()
        faults = await open_page(page, address, shop, group_id)
        await expect(page.get_by_text("1 of 3 have paid, 2 free")).to_be_visible()
        await expect(page.locator("#countdown")).to_have_text(re.compile(r"^\d+ \w{3} \d{4}, \d\d:\d\d UTC$"))
        link = page.get_by_role("link", name="Join for 80.00 CNY")
        await expect(link).to_have_attribute(
            "href", re.compile(rf"group_id={group_id}&campaign_item_id=\d+$")
        )
        await expect(page.get_by_text("All places are taken")).to_have_count(2)
        for hidden in await page.get_by_text("All places are taken").all():
            await expect(hidden).to_be_hidden()
        assert faults == []
