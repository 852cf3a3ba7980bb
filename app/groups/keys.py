"""Redis keys of groups. Hash-tagged by group; all expire, and are loaded again from the ledger."""

from __future__ import annotations

GATE_PATTERN = "group_gate:*"


def gate_keys(group_id: int) -> list[str]:
    """Hash: the group with its members, as tell.lua says. Hash: the claims in flight, as claim.lua says."""
    return [f"group_gate:{{{group_id}}}:{part}" for part in ("slots", "flight")]


def group_of(key: str) -> int:
    """The group in a key of the gate."""
    return int(key[key.index("{") + 1 : key.index("}")])
