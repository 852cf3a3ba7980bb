"""One typed function per Lua script of the gate: the arguments of one call, and what its answer means."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from app.lib.valkey import Argument, Call, Script
from app.stock.keys import (
    flight_field,
    flight_key,
    limit_field,
    limits_key,
    pool_key,
    pool_prefix,
    reservation_of,
)

RESERVE = Script("stock/reserve")
SETTLE = Script("stock/settle")
LOAD_LIMITS = Script("stock/load_limits")
RELEASE_LIMITS = Script("stock/release_limits")
CORRECT = Script("stock/correct")
RECOUNT = Script("stock/recount")

_pack = msgspec.msgpack.Encoder().encode

# In flight without a commit for this long means that its process died: longer than the wait in the backlog
# and the committer's last try together (app/lib/commit.py), so that no living order is swept.
FLIGHT_TTL_MS = 15_000


class Want(msgspec.Struct, frozen=True, gc=False):
    """Units of one pool; `buyer_max` 0 where a buyer may have any number."""

    pool_id: int
    sku_id: str
    quantity: int
    buyer_max: int = 0
    # False where stock is reserved only when the order is paid: it must be there, but is not taken
    reserved_at_once: bool = True


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """One shop's part of an order, as the gate is asked for it."""

    reservation_id: bytes
    order_id: int
    shop_id: str
    buyer_id: str
    activity_id: str
    wants: Sequence[Want]


class PoolFact(msgspec.Struct, frozen=True, gc=False):
    """What the ledger says of a pool: `free` = on hand − reserved, as of `version`."""

    shop_id: str
    pool_id: int
    free: int
    version: int


class Verdict(StrEnum):
    """What the gate says of a reservation."""

    RESERVED = "reserved"
    REPEAT = "repeat"  # this key is in flight already, here or in another process
    LOAD = "load"  # some pools are not in the gate
    LOAD_LIMITS = "load_limits"
    SOLD_OUT = "sold_out"
    GONE = "gone"  # sold out, and nothing of it is in flight that could come back
    LIMIT = "limit"
    DOWN = "down"  # Valkey did not answer: the ledger decides alone


class GateReply(msgspec.Struct, frozen=True, gc=False):
    verdict: Verdict
    # the wants that the verdict is about
    wants: Sequence[Want] = ()


RESERVED = GateReply(Verdict.RESERVED)
DOWN = GateReply(Verdict.DOWN)
_PLAIN = [Verdict.RESERVED.value]


def reserve_call(shop_id: str, reservations: Sequence[Reservation], deadline_ms: int) -> Call:
    """One call for all reservations of a shop that wait; `deadline_ms` since 1970."""
    pools: dict[int, int] = {}
    limits: dict[str, int] = {}
    asked = []
    for each in reservations:
        wants: list[int | str] = []
        limited: list[int | str] = []
        for want in each.wants:
            pool_id, quantity = want.pool_id, want.quantity
            wants += (pools.setdefault(pool_id, len(pools) + 1), str(pool_id), quantity)
            if want.buyer_max:
                limited += (limit_field(want.sku_id, each.buyer_id), quantity, want.buyer_max)
        index = limits.setdefault(each.activity_id, len(limits) + 1) if limited else 0
        asked.append((flight_field(each.reservation_id), str(each.order_id), wants, index, limited))
    keys = [
        flight_key(shop_id),
        *[pool_key(shop_id, pool_id) for pool_id in pools],
        *[limits_key(shop_id, activity_id) for activity_id in limits],
    ]
    return keys, [_pack((deadline_ms, len(pools), asked))]


def reserve_replies(reservations: Sequence[Reservation], raw: bytes) -> list[GateReply]:
    return [
        RESERVED if answer == _PLAIN else _reserve_reply(reservation, answer)
        for reservation, answer in zip(reservations, msgspec.msgpack.decode(raw), strict=True)
    ]


def _reserve_reply(reservation: Reservation, answer: list[Any]) -> GateReply:
    verdict = Verdict(answer[0])
    if verdict in (Verdict.LOAD, Verdict.SOLD_OUT, Verdict.GONE):
        return GateReply(verdict, [reservation.wants[int(index) - 1] for index in answer[1:]])
    if verdict is Verdict.LIMIT:
        limited = [want for want in reservation.wants if want.buyer_max]
        return GateReply(verdict, [limited[int(index) - 1] for index in answer[1:]])
    return GateReply(verdict)


def settle_call(shop_id: str, facts: Sequence[PoolFact], settled: Sequence[tuple[bytes, bool]] = ()) -> Call:
    """`settled`: reservation ids and whether each was placed."""
    keys = [flight_key(shop_id), *[pool_key(shop_id, fact.pool_id) for fact in facts]]
    numbers = [number for fact in facts for number in (fact.free, fact.version)]
    placed = [flight_field(reservation_id) for reservation_id, was_placed in settled if was_placed]
    refused = [flight_field(reservation_id) for reservation_id, was_placed in settled if not was_placed]
    return keys, [_pack((pool_prefix(shop_id), numbers, placed, refused))]


def load_limits_call(shop_id: str, activity_id: str, taken: Sequence[tuple[str, str, int]]) -> Call:
    """`taken`: (SKU, buyer, quantity) of everyone who has bought in the activity."""
    arguments: list[Argument] = []
    for sku_id, buyer_id, quantity in taken:
        arguments += (limit_field(sku_id, buyer_id), quantity)
    return [limits_key(shop_id, activity_id)], arguments


def release_limits_call(shop_id: str, activity_id: str, returned: Sequence[tuple[str, str, int]]) -> Call:
    """`returned`: (SKU, buyer, quantity) of canceled orders."""
    keys, arguments = load_limits_call(shop_id, activity_id, returned)
    return keys, arguments


def correct_call(fact: PoolFact, *, read_version: int) -> Call:
    return [pool_key(fact.shop_id, fact.pool_id)], [read_version, fact.free, fact.version]


def recount_call(shop_id: str, pool_ids: Sequence[int]) -> Call:
    keys = [flight_key(shop_id), *[pool_key(shop_id, pool_id) for pool_id in pool_ids]]
    return keys, list(pool_ids)


class InFlight(NamedTuple):
    """A reservation in flight, as `reserve.lua` keeps it. `deadline_ms`: since 1970."""

    reservation_id: bytes
    order_id: str
    deadline_ms: int
    # (pool id, quantity)
    pools: list[tuple[int, int]]
    # (limit field, quantity)
    limited: list[tuple[str, int]]


def read_in_flight(field: bytes, entry: bytes) -> InFlight:
    order_id, deadline_ms, pools, _, limited = msgspec.msgpack.decode(entry, type=_ENTRY)
    return InFlight(
        reservation_of(field),
        order_id,
        int(deadline_ms),
        [(int(pool_id), int(quantity)) for pool_id, quantity in _pairs(pools)],
        [(str(field), int(quantity)) for field, quantity in _pairs(limited)],
    )


# Lua packs a table without entries as an empty array or an empty map.
_Flat = list[str | int] | dict[str, str]
_ENTRY = tuple[str, int | float, _Flat, str, _Flat]


def _pairs(flat: _Flat) -> list[tuple[str | int, str | int]]:
    return list(zip(list(flat)[::2], list(flat)[1::2], strict=True))
