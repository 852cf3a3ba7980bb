"""What the buyer has chosen in choice groups: believed as far as the buyer is entitled to it.

Pure. Enters the promotions that may apply to a cart, in their order, and the cart's choices; leaves the
promotions with the lines that they may still act on, and a reason for each choice that is not followed. Such
a choice counts as not made: the server goes on to choose the best for the buyer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from app.pricing.audience import NotFor
from app.pricing.book import PriceBook
from app.pricing.lines import Basket
from app.pricing.schemas import Choice, Rejected
from app.pricing.walk import Entry

# Of one choice group: by line, or for the whole cart (WHOLE), the promotion's id, or None for none of them.
WHOLE = -1
Wanted = dict[int, str | None]


def honour_choices(
    choices: Sequence[Choice], promotions: Sequence[Entry], basket: Basket, book: PriceBook
) -> tuple[list[Entry], list[Rejected]]:
    """`promotions` know already whether they are for this buyer."""
    places = {line.sku.sku_id: index for index, line in enumerate(basket.lines)}
    wanted: dict[str, Wanted] = {}
    refused = []
    for choice in choices:
        index = WHOLE if choice.sku_id is None else places.get(choice.sku_id)
        code = _why_not(choice, index, promotions, basket, book)
        if code is None and index is not None:
            wanted.setdefault(choice.choice_group, {})[index] = choice.promotion_id
        elif code is not None:
            refused.append(_refusal(choice, code, book))
    kept: list[Entry] = []
    for entry in promotions:
        of_group = wanted.get(entry.rule.choice_group or "")
        narrowed = entry if of_group is None else _narrow(entry, of_group)
        if narrowed is not None:
            kept.append(narrowed)
    return kept, refused


def _why_not(
    choice: Choice, index: int | None, promotions: Sequence[Entry], basket: Basket, book: PriceBook
) -> str | None:
    """Why the buyer cannot choose this; None: it may be chosen."""
    if index is None:
        return "sku_not_in_cart"
    of_group = [entry for entry in promotions if entry.rule.choice_group == choice.choice_group]
    if choice.promotion_id is None:
        return None if any(_acts_on(entry, index) for entry in of_group) else "not_in_scope"
    rule = book.promotions.get(choice.promotion_id)
    if rule is None:
        return "promotion_not_found"
    if rule.choice_group != choice.choice_group:
        return "not_in_choice_group"
    if basket.now_ms < rule.starts_at_ms:
        return "not_started"
    if basket.now_ms >= rule.ends_at_ms:
        return "expired"
    if rule.currencies and basket.currency not in rule.currencies:
        return "currency_not_accepted"
    entry = next((entry for entry in of_group if entry.rule is rule), None)
    if entry is None or not _acts_on(entry, index):
        return "not_in_scope"
    return entry.allowance.code if isinstance(entry.allowance, NotFor) else None


def _refusal(choice: Choice, code: str, book: PriceBook) -> Rejected:
    """Of none of a group, the group stands where else the promotion does."""
    if choice.promotion_id is None:
        return Rejected("choice_group", choice.choice_group, "", code)
    rule = book.promotions.get(choice.promotion_id)
    return Rejected("promotion", choice.promotion_id, "" if rule is None else rule.name, code)


def _acts_on(entry: Entry, index: int) -> bool:
    """Whether it counts or lowers this line."""
    return index == WHOLE or index in entry.indexes or index in (entry.aimed or ())


def _narrow(entry: Entry, wanted: Wanted) -> Entry | None:
    """The entry on the lines that are left to it; None: on none, and nobody chose it.

    A line's own choice counts before that of the whole cart. Lines for which nothing is chosen go to the best
    of the group: they are the entry's if it is that, and its `otherwise` does without them. One that was
    chosen and has too few lines left stays, so that the walk says why it gives nothing.
    """
    mine = {index for index, promotion_id in wanted.items() if promotion_id == entry.rule_id}
    others = wanted.keys() - mine
    if WHOLE in mine:
        return _on(entry, lambda index: index not in others, chosen=True)
    only_mine = _on(entry, mine.__contains__, chosen=True) if mine else None
    if WHOLE in others or not any(index not in wanted for index in (*entry.indexes, *(entry.aimed or ()))):
        return only_mine
    open_to_it = _on(entry, lambda index: index not in others, chosen=bool(mine))
    return replace(open_to_it, otherwise=only_mine) if _has_lines(open_to_it) else only_mine


def _on(entry: Entry, keeps: Callable[[int], bool], *, chosen: bool) -> Entry:
    indexes = [index for index in entry.indexes if keeps(index)]
    aimed = None if entry.aimed is None else [index for index in entry.aimed if keeps(index)]
    return replace(entry, indexes=indexes, aimed=aimed, chosen=chosen)


def _has_lines(entry: Entry) -> bool:
    """Lines that meet it, and lines that it lowers."""
    return bool(entry.indexes) and entry.aimed != []
