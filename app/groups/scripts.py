"""One typed function per Lua script of the groups' gate: a call's arguments, and what its answer means."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

import msgspec

from app.groups.keys import gate_keys
from app.groups.state import GroupStatus
from app.lib.valkey import Call, Script

CLAIM = Script("groups/claim")
TELL = Script("groups/tell")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[str]).decode

# Settled by nobody for this long means that the claim's process died: longer than the wait in the backlog and
# the committer's last try together (app/lib/commit.py).
FLIGHT_TTL_MS = 15_000
# A group that nobody has asked for in an hour is loaded again when somebody does.
GATE_TTL_S = 3_600
# Of a group that has ended: longer than whoever has read it open takes to say so, since nothing else tells
# the two words apart once the later one is forgotten.
OVER_TTL_S = 60


class Verdict(Enum):
    """What the gate says of a claim."""

    CLAIMED = "claimed"
    REPEAT = "repeat"  # this key or this buyer is in flight already, here or in another process
    LOAD = "load"  # the group is not in the gate
    FULL = "full"
    OVER = "over"
    MEMBER = "member"
    DOWN = "down"  # Valkey did not answer: the ledger decides alone


class Asked(NamedTuple):
    """A claim, as the gate is asked for it."""

    claim_id: str
    buyer_id: str


class GateReply(NamedTuple):
    verdict: Verdict
    # of OVER the group's status, of MEMBER the order that has the slot
    detail: str = ""


CLAIMED = GateReply(Verdict.CLAIMED)
DOWN = GateReply(Verdict.DOWN)


class SlotFacts(msgspec.Struct, frozen=True, gc=False):
    """What the ledger says of a group as of `version`; `members`: (buyer, order) of those who have a slot."""

    group_id: int
    version: int
    status: str
    slots: int
    ends_at: datetime
    members: Sequence[tuple[str, int]]

    @property
    def is_open(self) -> bool:
        return self.status == GroupStatus.OPEN

    @property
    def free(self) -> int:
        """Slots that can be had: none of a group that has ended, whoever leaves it."""
        return self.slots - len(self.members) if self.is_open else 0


def claim_call(group_id: int, asked: Sequence[Asked], now_ms: int) -> Call:
    """`now_ms`: since 1970."""
    flat = [part for each in asked for part in each]
    return gate_keys(group_id), [_pack((now_ms, now_ms + FLIGHT_TTL_MS, GATE_TTL_S, flat))]


def claim_replies(raw: bytes) -> list[GateReply]:
    flat = _unpack(raw)
    return [
        CLAIMED if verdict == "claimed" else GateReply(Verdict(verdict), detail)
        for verdict, detail in zip(flat[::2], flat[1::2], strict=True)
    ]


def tell_call(group_id: int, facts: SlotFacts | None, settled: Sequence[str] = ()) -> Call:
    """`facts` None: nothing is told; `settled`: ids of claims that the ledger has decided."""
    if facts is None:
        return gate_keys(group_id), [_pack((-1, 0, (), settled))]
    fields: list[str | int] = ["free", facts.free, "ends_ms", to_ms(facts.ends_at), "status", facts.status]
    for buyer_id, order_id in facts.members if facts.is_open else ():
        fields += (f"@{buyer_id}", str(order_id))
    ttl_s = GATE_TTL_S if facts.is_open else OVER_TTL_S
    return gate_keys(group_id), [_pack((facts.version, ttl_s, fields, settled))]


def to_ms(moment: datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp() * 1000)
