"""Import a catalog file: Shopify's product CSV or NDJSON, told apart by their first character.

Enters a path, leaves what changed; `report` hears of every bad row. The file is read as a stream, so memory
does not grow with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from app.catalog.documents import ShopDocument
from app.catalog.import_records import Imported, import_records
from app.catalog.ndjson import BOM, read_ndjson
from app.catalog.records import BadRow, ImportedShop, Record, UnreadableFile
from app.catalog.shopify_csv import Market, read_shopify_csv
from app.lib.money import decimals_of, is_currency
from app.lib.postgres import Connection, open_pool
from app.lib.sql import load

sql = load("catalog")

# Merging a million SKUs takes minutes in one statement.
STATEMENT_TIMEOUT_MS = 1_800_000
CURRENCY_DEFAULT = "CNY"
# How often the progress is told: about a hundred times a second.
RECORDS_PER_TELL = 100


async def import_file(
    database_url: str,
    path: Path,
    *,
    shop_id: str,
    currency: str | None = None,
    skip_bad: bool = False,
    report: Callable[[BadRow], None],
    tell: Callable[[int], None] = lambda _: None,
) -> Imported:
    """`currency` is the CSV's: by default its shop's. `tell` hears how many bytes have been read.

    Raises UnreadableFile and ImportRefused; nothing has changed then.
    """
    pool = await open_pool(database_url, size_max=1, statement_timeout_ms=STATEMENT_TIMEOUT_MS, name="import")
    try:
        async with pool.acquire() as connection:
            market, shop = await _market(connection, shop_id, currency)
            with path.open("rb") as file:
                records = _told(_records(file, market, shop), file, tell)
                return await import_records(connection, records, skip_bad=skip_bad, report=report)
    finally:
        await pool.close()


async def _market(
    connection: Connection, shop_id: str, currency: str | None
) -> tuple[Market, list[ImportedShop]]:
    """What the file does not say; and the shop, where it does not exist yet."""
    row = await connection.fetchrow(sql.read_shop, shop_id)
    currency = currency or (row["currency"] if row else CURRENCY_DEFAULT)
    if not is_currency(currency):
        raise UnreadableFile(f"{currency} is not a currency of ISO 4217")
    shop = [] if row else [ImportedShop(0, shop_id, ShopDocument(shop_id, currency))]
    return Market(shop_id, currency, decimals_of(currency)), shop


def _records(file: io.BufferedReader, market: Market, shop: list[ImportedShop]) -> Iterator[Record]:
    if file.peek(64).removeprefix(BOM).lstrip()[:1] == b"{":
        yield from read_ndjson(file, market.shop_id)
        return
    yield from shop
    # Bytes that are not UTF-8 pass as surrogates, so that the reader can name their row.
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    yield from read_shopify_csv(text, market)
    text.detach()  # the file is the caller's to close


def _told(
    records: Iterator[Record], file: io.BufferedReader, tell: Callable[[int], None]
) -> Iterator[Record]:
    for number, record in enumerate(records):
        if number % RECORDS_PER_TELL == 0:
            tell(file.tell())
        yield record
    tell(file.tell())
