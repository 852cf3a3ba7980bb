"""The versions by which processes notice that their in-memory snapshots are old.

A change locks its snapshot's row, stamps what it writes with the next version, and publishes the version in
the same transaction: so versions commit in order, and who has seen one has seen all before it.
"""

from __future__ import annotations

from typing import Literal

from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("snapshot_version")

Snapshot = Literal["catalog", "promotions", "flash_sales", "charges", "campaigns"]


async def lock_version(connection: Connection, snapshot: Snapshot) -> int:
    """The version to stamp changes with. Changes of one snapshot wait for each other here."""
    version: int = await connection.fetchval(sql.lock_version, snapshot)
    return version


async def publish_version(connection: Connection, snapshot: Snapshot, version: int) -> None:
    """Only where something has changed: each version makes every process read."""
    await connection.execute(sql.publish_version, snapshot, version)
