"""Pay the bill (买单): a shop's standing item whose price is given at the counter.

The part that takes no part in discounts never reaches the walk: rules see a line that costs the rest, and
`complete_bills` adds the part to the finished summary. A bill has no stock, no address and no freight.
"""

from __future__ import annotations

from app.pricing.lines import Basket
from app.pricing.priced import Priced


def complete_bills(priced: Priced, basket: Basket) -> None:
    """Add what was kept from the rules, at every level. A bill is always available, once."""
    shops = {shop.shop_id: shop for shop in priced.summary.shops}
    for index, undiscounted_minor in basket.bills.items():
        line = priced.lines[index]
        line.summary.unit_price_minor += undiscounted_minor
        line.summary.list_price_minor += undiscounted_minor
        line.summary.undiscounted_minor = undiscounted_minor
        line.summary.available, line.summary.max_quantity = True, 1
        for level in (line.summary, shops[line.sku.shop_id], priced.summary):
            level.goods_minor += undiscounted_minor
            level.payable_minor += undiscounted_minor
