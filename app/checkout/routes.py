"""`POST /shopping/cart/checkout/entries`."""

from __future__ import annotations

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.checkout.errors import (
    ActivityEnded,
    BalanceTooLow,
    CouponUnavailable,
    OutOfStock,
    PriceChanged,
    PurchaseLimitExceeded,
)
from app.checkout.place import place
from app.checkout.schemas import PlacedOrder
from app.lib.errors import IdempotencyKeyReused, OutcomeUnknown, Unavailable
from app.lib.hot import HotRoute
from app.pricing.errors import BillAmountInvalid, SkuNotFound
from app.pricing.schemas import CheckoutRequest

HOT_ROUTES = [
    HotRoute(
        "/shopping/cart/checkout/entries",
        CheckoutRequest,
        PlacedOrder,
        place,
        status=201,
        problems=(
            PriceChanged,
            OutOfStock,
            CouponUnavailable,
            BalanceTooLow,
            PurchaseLimitExceeded,
            ActivityEnded,
            AddressInvalid,
            AddressBlocked,
            IdempotencyKeyReused,
            SkuNotFound,
            BillAmountInvalid,
            OutcomeUnknown,
            (Unavailable, "overloaded"),
            (Unavailable, "stopping"),
            (Unavailable, "id_lease_lost"),
        ),
    )
]
