"""A map of seats as the staff sends and sees it, and a seat as its buyer sees it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from app.lib.bounds import PRINTABLE, Id

# The largest concert halls have some thousand seats of one ticket category; of a map of so many 5 ms are read
# for each transaction that gives seats.
SEATS_MAX = 10_000
ROWS_MAX = 500
# Gaps included.
PLACES_IN_ROW_MAX = 500

SeatNumber = Annotated[str, Meta(min_length=1, max_length=16, pattern=PRINTABLE)]


class Seat(Struct, frozen=True):
    """One seat, as on a ticket."""

    row: str
    number: str


# An order's, as the statements give them: JSON.
read_seats = Decoder(list[Seat]).decode


class SeatRow(Struct, forbid_unknown_fields=True, frozen=True):
    """Its seats from one end to the other; null is a gap: an aisle, a pillar, a seat not sold here."""

    row: Id
    seats: Annotated[list[SeatNumber | None], Meta(min_length=1, max_length=PLACES_IN_ROW_MAX)]

    def __post_init__(self) -> None:
        numbers = [number for number in self.seats if number is not None]
        if not numbers or len(set(numbers)) < len(numbers):
            raise ValueError("a row has seats, each number once")


class SeatMapDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """The best row first; rows that are listed side by side count as neighbours. No rows: not seated."""

    # of the show: SKUs of one item and one session share a hall, and have no seat in common
    session: Id
    rows: Annotated[list[SeatRow], Meta(max_length=ROWS_MAX)]

    def __post_init__(self) -> None:
        if len({row.row for row in self.rows}) < len(self.rows):
            raise ValueError("a row is listed twice")
        if sum(len(row.seats) - row.seats.count(None) for row in self.rows) > SEATS_MAX:
            raise ValueError(f"a map has at most {SEATS_MAX} seats")


class GivenSeat(Struct, frozen=True):
    """A seat that is taken, and the order that has it."""

    number: str
    order_id: str


class SeatRowView(Struct, frozen=True):
    """A row with what of it is taken."""

    row: str
    seats: list[str | None]
    taken: list[GivenSeat]


class SeatMapView(Struct, frozen=True):
    """A SKU's map; without rows and `session` the SKU is not seated."""

    sku_id: str
    session: str | None
    seats: int
    free: int
    rows: list[SeatRowView]
