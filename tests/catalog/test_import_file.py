"""Files into the ledger: all or nothing, all but the bad rows, and twice the same as once."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.bootstrap import Services
from app.catalog.command import BAD_ROWS_SHOWN_MAX, import_catalog
from app.catalog.import_file import import_file
from app.catalog.import_records import Imported, ImportRefused
from app.catalog.records import BadRow, UnreadableFile
from app.settings import Settings

HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price\n"
GOOD = "tea,Tea,Size,S,T-S,5,10.00\ntea,,,L,T-L,0,18.00\ncup,Cup,,,C-1,7,3.50\n"

PICTURE = """
    SELECT (SELECT jsonb_agg(to_jsonb(s) ORDER BY shop_id) FROM shop s)::text,
           (SELECT jsonb_agg(to_jsonb(i) ORDER BY item_id) FROM item i)::text,
           (SELECT jsonb_agg(to_jsonb(k) ORDER BY sku_id) FROM sku k)::text,
           (SELECT jsonb_agg(to_jsonb(p) ORDER BY pool_id) FROM stock_pool p)::text,
           (SELECT jsonb_agg(to_jsonb(m) ORDER BY movement_id) FROM stock_movement m)::text,
           (SELECT jsonb_agg(to_jsonb(v) ORDER BY name) FROM snapshot_version v)::text
"""


class Importer:
    """Imports texts into the test's database and remembers the bad rows."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.path = folder / "products.csv"
        self.bad_rows: list[BadRow] = []

    async def __call__(self, text: str | bytes, **options: object) -> Imported:
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.bad_rows = []
        given: dict[str, Any] = {"shop_id": "imported", "report": self.bad_rows.append, **options}
        return await import_file(self.services.settings.database_url, self.path, **given)

    async def picture(self) -> asyncpg.Record:
        """All that an import may change."""
        row = await self.services.pool.fetchrow(PICTURE)
        assert row is not None
        return row


@pytest.fixture
def load(services: Services, tmp_path: Path) -> Importer:
    return Importer(services, tmp_path)


async def test_a_file_brings_shop_items_skus_prices_and_the_first_stock(
    load: Importer, services: Services
) -> None:
    told: list[int] = []
    assert await load(HEADER + GOOD, tell=told.append) == Imported(
        shops=1, items=2, skus=3, stocked=2, bad_rows=0
    )
    assert told[-1] == len(HEADER + GOOD)
    shop = await services.pool.fetchrow("SELECT shop_id, currency, version FROM shop")
    assert shop is not None
    assert tuple(shop) == ("imported", "CNY", 1)
    rows = await services.pool.fetch(
        """SELECT sku_id, item_id, attributes, prices, withdrawn, sku.version, on_hand, reserved
           FROM sku JOIN stock_pool USING (sku_id) ORDER BY sku_id"""
    )

    def price(minor: int) -> dict[str, dict[str, int]]:
        return {"CNY": {"price_minor": minor, "list_price_minor": minor}}

    assert [tuple(row) for row in rows] == [
        ("C-1", "cup", {}, price(350), False, 1, 7, 0),
        ("T-L", "tea", {"Size": "L"}, price(1800), False, 1, 0, 0),
        ("T-S", "tea", {"Size": "S"}, price(1000), False, 1, 5, 0),
    ]
    moved = await services.pool.fetch(
        """SELECT sku_id, kind, on_hand_delta, reserved_delta, reason
           FROM stock_movement JOIN stock_pool USING (pool_id) ORDER BY sku_id"""
    )
    assert [tuple(row) for row in moved] == [("C-1", "set", 7, 0, "import"), ("T-S", "set", 5, 0, "import")]


async def test_repeating_an_import_changes_nothing_also_when_goods_were_sold_since(
    load: Importer, services: Services
) -> None:
    await load(HEADER + GOOD)
    await services.pool.execute("UPDATE stock_pool SET on_hand = 1, version = version + 1 WHERE on_hand = 5")
    before = await load.picture()
    assert await load(HEADER + GOOD) == Imported(shops=0, items=0, skus=0, stocked=0, bad_rows=0)
    assert await load.picture() == before


async def test_a_changed_file_stamps_only_what_it_changes_and_keeps_other_currencies(
    load: Importer, services: Services
) -> None:
    await load(HEADER + GOOD)
    await load(HEADER + "cup,Cup,,,C-1,7,5.00\n", currency="USD")
    assert await load(HEADER + GOOD.replace("18.00", "19.00")) == Imported(
        0, 0, skus=1, stocked=0, bad_rows=0
    )
    rows = await services.pool.fetch("SELECT sku_id, prices, version FROM sku ORDER BY sku_id")
    assert {row["sku_id"]: row["version"] for row in rows} == {"C-1": 2, "T-L": 3, "T-S": 1}
    assert rows[0]["prices"] == {
        "CNY": {"price_minor": 350, "list_price_minor": 350},
        "USD": {"price_minor": 500, "list_price_minor": 500},
    }
    assert rows[1]["prices"]["CNY"]["price_minor"] == 1900


BAD = (
    HEADER
    + GOOD
    + "tea,Tea again,Size,M,T-M,1,9.00\n"  # line 5: the handle stood on line 2
    + "bowl,Bowl,,,C-1,2,9.00\n"  # line 6: the SKU stood on line 4
    + "pot,Pot,,,P-1,2,cheap\n"  # line 7
    + "jar,Jar,,,J-1,2,4.00\n"
)
BAD_ROWS = [
    BadRow(5, "the item tea stands already on line 2"),
    BadRow(6, "the SKU C-1 stands already on line 4"),
    BadRow(7, "'cheap' is not an amount like 12.50"),
]


async def test_one_bad_row_and_nothing_is_imported(load: Importer) -> None:
    before = await load.picture()
    with pytest.raises(ImportRefused) as refused:
        await load(BAD)
    assert refused.value.bad_rows == 3
    assert load.bad_rows == BAD_ROWS
    assert await load.picture() == before


async def test_with_skip_bad_all_but_the_named_rows_are_imported(load: Importer, services: Services) -> None:
    assert await load(BAD, skip_bad=True) == Imported(shops=1, items=3, skus=4, stocked=3, bad_rows=3)
    assert load.bad_rows == BAD_ROWS
    rows = await services.pool.fetch(
        "SELECT item_id, title, sku_id FROM item JOIN sku USING (item_id) ORDER BY 3"
    )
    assert [tuple(row) for row in rows] == [
        ("cup", "Cup", "C-1"), ("jar", "Jar", "J-1"), ("tea", "Tea", "T-L"), ("tea", "Tea", "T-S"),
    ]  # fmt: skip


async def test_another_shops_items_and_skus_are_not_taken_over(load: Importer) -> None:
    await load(HEADER + GOOD, shop_id="7")
    before = await load.picture()
    with pytest.raises(ImportRefused):
        await load(HEADER + "tea,My Tea,,,X,1,1.00\nmug,Mug,,,C-1,1,1.00\n", shop_id="8")
    assert load.bad_rows == [
        BadRow(2, "the item tea belongs to the shop 7"),
        BadRow(3, "the SKU C-1 belongs to the shop 7"),
    ]
    assert await load.picture() == before


async def test_drafts_are_withdrawn_until_they_become_active(load: Importer, services: Services) -> None:
    header = HEADER.replace("\n", ",Status\n")
    await load(header + "cup,Cup,,,C-1,7,3.50,draft\n")
    assert await services.pool.fetchval("SELECT withdrawn FROM sku") is True
    await load(header + "cup,Cup,,,C-1,7,3.50,active\n")
    assert await services.pool.fetchval("SELECT withdrawn FROM sku") is False


async def test_ndjson_brings_its_own_shops_and_several_currencies(load: Importer, services: Services) -> None:
    text = b"""{"shop": {"shop_id": "9", "name": "Nine", "currency": "USD"}}
{"item_id": "a", "shop_id": "9", "title": "A", "skus": [{"sku_id": "A1", "on_hand": 3, "reserve_on": "pay",
"prices": {"USD": {"price_minor": 100}, "CNY": {"price_minor": 700, "list_price_minor": 800}}}]}
{"item_id": "b", "shop_id": "10", "title": "B", "skus": [{"sku_id": "B1",
"prices": {"USD": {"price_minor": 1}}}]}
""".replace(b',\n"prices"', b', "prices"')
    assert await load(text, skip_bad=True) == Imported(shops=1, items=1, skus=1, stocked=1, bad_rows=1)
    assert load.bad_rows == [BadRow(3, "there is no shop 10")]
    sku = await services.pool.fetchrow("SELECT reserve_on, prices FROM sku")
    assert sku is not None
    assert sku["reserve_on"] == "pay"
    assert sku["prices"] == {
        "USD": {"price_minor": 100, "list_price_minor": 100},
        "CNY": {"price_minor": 700, "list_price_minor": 800},
    }


async def test_a_file_that_is_something_else_is_refused_whole(load: Importer) -> None:
    before = await load.picture()
    with pytest.raises(UnreadableFile, match="the header lacks"):
        await load("name;price\nTea;1\n")
    with pytest.raises(UnreadableFile, match="XYZ is not a currency"):
        await load(HEADER + GOOD, currency="XYZ")
    assert await load.picture() == before


def test_the_command_names_every_bad_row_and_ends_with_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "products.csv"
    path.write_text(HEADER + "".join(f"h{n},T,,,S{n},1,?\n" for n in range(BAD_ROWS_SHOWN_MAX + 2)))
    assert import_catalog(settings, path, shop_id="7", currency=None, skip_bad=False) == 1
    said = capfd.readouterr().err
    assert "products.csv:2: '?' is not an amount like 12.50" in said
    assert f"Nothing was imported: {BAD_ROWS_SHOWN_MAX + 2} bad rows" in said
    named = (tmp_path / "products.csv.bad-rows.txt").read_text().splitlines()
    assert [line.split(":")[1] for line in named] == [str(n + 2) for n in range(BAD_ROWS_SHOWN_MAX + 2)]

    path.write_text(HEADER + GOOD)
    assert import_catalog(settings, path, shop_id="7", currency=None, skip_bad=False) == 0
    assert capfd.readouterr().out == (
        "New or changed: 1 shops, 2 items, 3 SKUs; 2 SKUs were given their first stock.\n"
    )
    assert import_catalog(settings, path, shop_id="7", currency=None, skip_bad=False) == 0
    assert capfd.readouterr().out == "Nothing new: the catalog has all of this already.\n"
