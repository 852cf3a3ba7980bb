"""The columns of Shopify's product CSV, under the names that it has given them over the years.

Enters a header row, leaves the position of each column that we read. Exports carry `Handle`,
`Variant Price`, …; the newer template carries `URL handle`, `Price`, …; both may be mixed.
"""

from dataclasses import dataclass

from app.catalog.records import UnreadableFile

# field → the names it is known by; compared without regard to case and outer blanks.
NAMES: dict[str, tuple[str, ...]] = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "type": ("Type", "Product Type"),
    "category": ("Product Category",),
    "published": ("Published", "Published on online store"),
    "status": ("Status",),
    "gift_card": ("Gift Card",),
    "option1_name": ("Option1 Name",),
    "option1_value": ("Option1 Value",),
    "option2_name": ("Option2 Name",),
    "option2_value": ("Option2 Value",),
    "option3_name": ("Option3 Name",),
    "option3_value": ("Option3 Value",),
    "sku": ("Variant SKU", "SKU"),
    "grams": ("Variant Grams", "Weight value (grams)"),
    "on_hand": ("Variant Inventory Qty", "Variant Inventory Quantity", "Inventory quantity"),
    "price": ("Variant Price", "Price"),
    "compare_at": ("Variant Compare At Price", "Compare-at price", "Compare At Price"),
    "requires_shipping": ("Variant Requires Shipping", "Requires shipping"),
}
REQUIRED = ("handle", "title", "price")


@dataclass(frozen=True)
class Columns:
    """Where each field stands in a row; a column that the file lacks reads as empty."""

    positions: dict[str, int]
    width: int

    def cell(self, row: list[str], field: str) -> str:
        position = self.positions.get(field)
        return "" if position is None else row[position].strip()


def find_columns(header: list[str]) -> Columns:
    """Raises UnreadableFile naming every required column that is missing or stands there twice."""
    seen = [name.strip().casefold() for name in header]
    positions: dict[str, int] = {}
    for field, names in NAMES.items():
        found = [seen.index(name.casefold()) for name in names if name.casefold() in seen]
        if found:
            positions[field] = found[0]
            if seen.count(seen[found[0]]) > 1:
                raise UnreadableFile(f"the column {header[found[0]]!r} stands twice in the header")
    missing = [" or ".join(map(repr, NAMES[field])) for field in REQUIRED if field not in positions]
    if missing:
        raise UnreadableFile(
            "this is not a product CSV as Shopify exports it: the header lacks " + ", ".join(missing)
        )
    return Columns(positions, len(header))
