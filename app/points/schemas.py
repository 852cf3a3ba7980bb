"""What the points calls take and answer. Points are whole numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import AMOUNT_MINOR_MAX, PRINTABLE, Id
from app.points.documents import VALID_DAYS_MAX

# One transaction gives them all: this many take about half a second.
GRANT_USERS_MAX = 10_000


class GrantPoints(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`points` for each of these buyers; `valid_days` None: as long as the rules say."""

    user_ids: Annotated[list[Id], Meta(min_length=1, max_length=GRANT_USERS_MAX)]
    points: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
    valid_days: Annotated[int, Meta(ge=1, le=VALID_DAYS_MAX)] | None = None
    reason: Annotated[str, Meta(max_length=200, pattern=PRINTABLE)] | None = None

    def __post_init__(self) -> None:
        if len(set(self.user_ids)) < len(self.user_ids):
            raise ValueError("a buyer is named twice: one call gives each one points")


class GrantedPoints(Struct, frozen=True):
    """How many buyers got how many points each, and when these end."""

    user_count: int
    points: int
    expires_at: datetime


class EndingPoints(Struct, frozen=True):
    points: int
    expires_at: datetime


class PointsBalance(Struct, frozen=True):
    """`available` can be spent now; `frozen` belongs to orders that are not paid yet; `owed` was taken back
    after it had been spent, and is kept from the next points. `ending` are the next to expire."""

    available: int
    frozen: int
    owed: int
    ending: list[EndingPoints]


class PointsEntry(Struct, frozen=True):
    """One change: `kind` is points_granted, points_earned, points_taken_back, points_expired, freeze, release
    or give_back. `balance_after` below zero is owed."""

    entry_id: str
    kind: str
    points: int
    balance_after: int
    order_id: str | None
    created_at: datetime
