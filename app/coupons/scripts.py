"""One typed function per Lua script of the coupons' gate: a call's arguments, and what its answer means."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from app.coupons.keys import gate_keys
from app.lib.valkey import Call, Script

CLAIM = Script("coupons/claim")
TELL = Script("coupons/tell")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[str | int]).decode

# Settled by nobody for this long means that the claim's process died: longer than the wait in the backlog and
# the committer's last try together (app/lib/commit.py).
FLIGHT_TTL_MS = 15_000
# What nobody has asked for in an hour is no rush; it is loaded again when somebody does.
GATE_TTL_S = 3_600


class Verdict(Enum):
    """What the gate says of a claim."""

    CLAIMED = "claimed"
    REPEAT = "repeat"  # this key is in flight already, here or in another process
    LOAD = "load"  # the template is not in the gate
    CLOSED = "closed"
    LIMIT = "limit"
    EXHAUSTED = "exhausted"
    DOWN = "down"  # Valkey did not answer: the ledger decides alone


class Asked(NamedTuple):
    """A claim, as the gate is asked for it."""

    claim_id: str
    buyer_id: str
    is_open: bool


class GateReply(NamedTuple):
    verdict: Verdict
    # whether the buyer may have one of these coupons: then a refused key may have brought it
    holds: bool


DOWN = GateReply(Verdict.DOWN, holds=True)


class Settled(NamedTuple):
    """A claim that the ledger has decided."""

    claim_id: str
    buyer_id: str
    placed: bool


def claim_call(
    template_id: str, total: int | None, most: int | None, asked: Sequence[Asked], now_ms: int
) -> Call:
    """`total`: how many coupons there are; `most`: how many one buyer may have; None: any number."""
    flat = [part for each in asked for part in each]
    numbers = (-1 if total is None else total, -1 if most is None else most)
    return gate_keys(template_id), [_pack((now_ms, now_ms + FLIGHT_TTL_MS, GATE_TTL_S, *numbers, flat))]


def claim_replies(raw: bytes) -> list[GateReply]:
    flat = _unpack(raw)
    return [
        GateReply(Verdict(verdict), int(held) > 0)
        for verdict, held in zip(flat[::2], flat[1::2], strict=True)
    ]


def tell_call(
    template_id: str,
    granted_count: int,
    counts: Sequence[tuple[str, int]],
    settled: Sequence[Settled] = (),
    *,
    complete: bool = False,
) -> Call:
    """`granted_count` -1: nothing is known of it; `complete`: with these counts all buyers have been told."""
    flat = [part for count in counts for part in count]
    placed = [each.claim_id for each in settled if each.placed]
    refused = [part for each in settled if not each.placed for part in (each.claim_id, each.buyer_id)]
    return gate_keys(template_id), [_pack((GATE_TTL_S, granted_count, complete, flat, placed, refused))]
