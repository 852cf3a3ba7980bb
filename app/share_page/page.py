"""The page: plain HTML that needs no script and lives with it, good on a phone.

In: a group as everyone may see it. Out: the document. Must hold: all that comes from shops and buyers is
escaped, and the browser runs and loads nothing but what is here (`SECURITY`).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import datetime
from importlib.resources import files
from typing import Literal
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from app.groups.schemas import Group, GroupItem
from app.lib.money import in_major
from app.share_page.card import CIRCLES_MAX, Card

_FOLDER = files("app.share_page") / "templates"
_STYLE = (_FOLDER / "share.css").read_text(encoding="utf-8")
_SCRIPT = (_FOLDER / "share.js").read_text(encoding="utf-8")

_templates = Environment(loader=PackageLoader("app.share_page"), autoescape=True, trim_blocks=True)
_templates.globals |= {"style": Markup(_STYLE), "script": Markup(_SCRIPT)}  # noqa: S704 - files of ours

# Where a group stands, as the page's style and script name it. FULL: a place comes free if it is not paid.
State = Literal["open", "full", "complete", "deciding", "succeeded", "failed"]


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


SECURITY = {
    "Content-Security-Policy": f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # A code is for friends: where the reader goes next need not know it.
    "Referrer-Policy": "no-referrer",
}


def render(group: Group, app_link: str) -> str:
    state = stand(group)
    return _templates.get_template("group.html").render(
        group=group,
        state=state,
        headline=headline(group),
        word=word(group),
        card_url=f"{group.share_url}/card.png?v={group.version}",
        items=[_item(group, item, app_link) for item in group.items if item.sell_status == "OPEN"],
        cheapest=cheapest(group),
        circles=range(1, min(group.slots, CIRCLES_MAX) + 1),
        members={member.slot: member for member in group.shown_members},
        at=at,
        price=in_major,
    )


def render_missing() -> str:
    return _templates.get_template("missing.html").render()


def render_unavailable(retry_after_s: int) -> str:
    return _templates.get_template("unavailable.html").render(retry_after_s=retry_after_s)


def stand(group: Group) -> State:
    """templates/share.js says the same of what it is told."""
    if group.status == "SUCCEEDED":
        return "succeeded"
    if group.status == "FAILED":
        return "failed"
    if group.members_paid == group.slots:
        return "complete"
    if group.now >= group.ends_at:
        return "deciding"
    return "full" if group.members == group.slots else "open"


def headline(group: Group) -> str:
    """What a messenger shows in bold."""
    item = cheapest(group)
    price = "" if item is None else f" for {in_major(item.sale_price_minor, item.currency)}"
    return f"{group.title}{price}"


def word(group: Group) -> str:
    """One sentence of how it stands."""
    free = group.slots - group.members
    return {
        "open": f"{group.members} of {group.slots} are in, {free} {'place' if free == 1 else 'places'} left",
        "full": "All places are taken for now",
        "complete": "All places are taken",
        "deciding": "The time is over",
        "succeeded": "This group has succeeded",
        "failed": "This group is over",
    }[stand(group)]


def card(group: Group) -> Card:
    item = cheapest(group)
    price = "" if item is None else in_major(item.sale_price_minor, item.currency)
    dearer = item is not None and (item.single_price_minor or 0) > item.sale_price_minor
    single = in_major(item.single_price_minor or 0, item.currency) if item and dearer else None
    members = group.members_paid if group.status == "FAILED" else group.members
    return Card(group.shop_name, group.title, price, single, group.slots, members, word(group))


def cheapest(group: Group) -> GroupItem | None:
    """What the page and the card name a price of: of what is sold, else of what was."""
    sold = [item for item in group.items if item.sell_status == "OPEN"] or group.items
    return min(sold, key=lambda item: item.sale_price_minor, default=None)


def at(time: datetime) -> str:
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def _item(group: Group, item: GroupItem, app_link: str) -> dict[str, object]:
    """A SKU with its words and the links that join with it, or start another group of it."""
    words = [item.session, item.ticket_category, *item.attributes.values()]
    return {
        "name": " · ".join(each for each in words if each) or group.title,
        "price": in_major(item.sale_price_minor, item.currency),
        "join": _link(app_link, group_id=group.group_id, campaign_item_id=item.campaign_item_id),
        "start": _link(app_link, campaign_item_id=item.campaign_item_id),
    }


def _link(app_link: str, **parameters: str) -> str:
    return f"{app_link}{'&' if '?' in app_link else '?'}{urlencode(parameters)}"
