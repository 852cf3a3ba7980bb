"""What an order takes beside stock, of which there is only so much: coupons, balances, limits, budgets.

Each kind is a module of its own slice with the functions of `Claim`. The ledger locks what a batch asks for,
`admit` decides each checkout whole, and what the placed ones took is written, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import app.balances.claim
import app.coupons.claim
import app.coupons.claim_codes
import app.flash_sales.claim
import app.promotions.claim
from app.checkout.schemas import Checkout
from app.lib.errors import AppError
from app.lib.postgres import Connection


class Claim(Protocol):
    """One kind; `numbers` is what it has locked, of a type of its own."""

    def wanted_by(self, checkout: Checkout, /) -> bool:
        """Whether this checkout asks for any."""

    async def lock(self, connection: Connection, checkouts: Sequence[Checkout], /) -> Any:
        """Lock the rows that these checkouts ask for, sorted by id, and read them."""

    def refuse(self, checkout: Checkout, numbers: Any, /) -> AppError | None:
        """Why this checkout cannot have what it asks for; pure."""

    def take(self, checkout: Checkout, numbers: Any, /) -> None:
        """Count what a placed checkout takes, so that the next one sees what is left; pure."""

    async def write(self, connection: Connection, placed: Sequence[Checkout], numbers: Any, /) -> None:
        """Bring what the placed checkouts took into the locked rows."""


# In the one global order in which a transaction locks: codes with their templates, coupons, balances, limits,
# budgets; stock comes last.
CLAIMS: tuple[Claim, ...] = (
    app.coupons.claim_codes,
    app.coupons.claim,
    app.balances.claim,
    app.flash_sales.claim,
    app.promotions.claim,
)


def wants_any(checkout: Checkout) -> bool:
    return any([claim.wanted_by(checkout) for claim in CLAIMS])
