"""A buyer's red packets, the newest first."""

from __future__ import annotations

from datetime import datetime

from app.lib.page import Page
from app.lib.parameters import before
from app.lib.postgres import Pool
from app.lib.sql import load
from app.red_packets.schemas import RedPacket

sql = load("red_packets")


async def list_packets(pool: Pool, buyer_id: str, now: datetime, cursor: str, limit: int) -> Page[RedPacket]:
    rows = await pool.fetch(sql.list_packets, buyer_id, now, before(cursor), limit + 1)
    return Page.cut([RedPacket(**row) for row in rows], limit, lambda packet: packet.packet_id)
