"""The SKUs that an effect names must be on sale: a bundle of unknown SKUs can never apply.

Asked when a document is put, inside its transaction. A SKU that is withdrawn later leaves a rule that gives
nothing, or a gift that is left out with a warning.
"""

from __future__ import annotations

from app.lib.errors import Unprocessable
from app.lib.postgres import Connection
from app.lib.sql import load
from app.pricing.documents import AddonPrice, Bundle, Effect, Gift

sql = load("promotions")


class EffectSkuUnknown(Unprocessable):
    """Not on sale, or of another shop than the rule's. Member: `sku_ids`."""

    code = "effect_sku_unknown"
    title = "The effect names SKUs that are not on sale"


async def check_effect(connection: Connection, shop_id: str | None, effect: Effect) -> None:
    """`shop_id` None: the SKUs may be any shop's. Raises EffectSkuUnknown."""
    match effect:
        case Bundle():
            named = list(effect.sku_quantities)
        case Gift() | AddonPrice():
            named = [effect.sku_id]
        case _:
            return
    on_sale = {row["sku_id"] for row in await connection.fetch(sql.skus_on_sale, named, shop_id)}
    if unknown := [sku_id for sku_id in named if sku_id not in on_sale]:
        of_shop = "" if shop_id is None else f" of shop {shop_id}"
        raise EffectSkuUnknown(f"no such SKUs{of_shop} are on sale", sku_ids=unknown)
