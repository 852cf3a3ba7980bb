"""Bring a file's records into the ledger in one transaction: all of them, or all but the bad rows, or none.

The records wait in unlogged tables, are judged against each other and against the ledger there, and merged
by set. New SKUs begin with the file's stock; the stock of known ones is left to the ledger, since a file
that is older than the last order would sell the same goods twice. Repeating an import changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from msgspec import Struct

from app.catalog.documents import stored_prices
from app.catalog.records import BadRow, ImportedItem, ImportedShop, Record
from app.lib.postgres import Connection
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load

sql = load("catalog_import")

# Records copied at once: some hundred kilobytes of rows, past which a larger COPY was no faster.
RECORDS_PER_COPY = 500

COLUMNS = {
    "import_shop": ("line", "shop_id", "name", "currency"),
    "import_item": ("line", "item_id", "shop_id", "title", "item_type", "category_ids"),
    "import_sku": (
        *("line", "item_line", "position", "item_id", "shop_id", "sku_id", "attributes", "weight_grams"),
        *("prices", "reserve_on", "withdrawn", "on_hand"),
    ),
    "import_bad_row": ("line", "reason"),
}


class Imported(Struct, frozen=True):
    """What is different after an import. All zero: the file brought nothing new."""

    shops: int
    items: int
    skus: int
    stocked: int
    bad_rows: int


class ImportRefused(Exception):
    """Bad rows were found, all of them reported, and nothing was changed."""

    def __init__(self, bad_rows: int) -> None:
        super().__init__(f"{bad_rows} bad rows; nothing was imported")
        self.bad_rows = bad_rows


async def import_records(
    connection: Connection, records: Iterator[Record], *, skip_bad: bool, report: Callable[[BadRow], None]
) -> Imported:
    """`report` is called once for every bad row, in the file's order. Raises ImportRefused."""
    async with connection.transaction():
        await connection.execute(sql.clear)
        await _stage(connection, records)
        bad_rows = await _judge(connection, report)
        if bad_rows and not skip_bad:
            raise ImportRefused(bad_rows)
        version = await lock_version(connection, "catalog")
        shops = await connection.fetchval(sql.merge_shops, version)
        items = await connection.fetchval(sql.merge_items, version)
        skus = await connection.fetchval(sql.merge_skus, version)
        stocked = await connection.fetchval(sql.stock_new_skus)
        if shops or items or skus:
            await publish_version(connection, "catalog", version)
        await connection.execute(sql.clear)
        return Imported(shops, items, skus, stocked, bad_rows)


async def _stage(connection: Connection, records: Iterator[Record]) -> None:
    while batch := list(islice(records, RECORDS_PER_COPY)):
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in COLUMNS}
        for record in batch:
            if isinstance(record, ImportedItem):
                _add_item(rows, record)
            elif isinstance(record, ImportedShop):
                shop = record.document
                rows["import_shop"].append((record.line, record.shop_id, shop.name, shop.currency))
            else:
                rows["import_bad_row"].append((record.line, record.reason))
        for table, columns in COLUMNS.items():
            if rows[table]:
                await connection.copy_records_to_table(table, records=rows[table], columns=columns)
    await connection.execute(sql.analyze_items)
    await connection.execute(sql.analyze_skus)


def _add_item(rows: dict[str, list[tuple[Any, ...]]], item: ImportedItem) -> None:
    rows["import_item"].append(
        (item.line, item.item_id, item.shop_id, item.title, item.item_type, item.category_ids)
    )
    for position, sku in enumerate(item.skus):
        document = sku.document
        rows["import_sku"].append(
            (
                *(sku.line, item.line, position, item.item_id, item.shop_id, document.sku_id),
                *(document.attributes, document.weight_grams, stored_prices(document), document.reserve_on),
                *(not item.on_sale, sku.on_hand or 0),
            )
        )


async def _judge(connection: Connection, report: Callable[[BadRow], None]) -> int:
    await connection.execute(sql.judge_items)
    await connection.execute(sql.judge_skus)
    await connection.execute(sql.drop_empty_items)
    bad_rows = 0
    async for row in connection.cursor(sql.bad_rows):
        report(BadRow(row["line"], row["reason"]))
        bad_rows += 1
    return bad_rows
