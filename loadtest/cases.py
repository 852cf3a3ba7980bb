"""What the bench measures: each case is a call, the requests it sends, and the only answer that counts.

Enters the stage (buyers, carts), leaves per case a file of prepared requests for wrk. The echoes get the very
requests of `checkout`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from loadtest import goods, rules
from loadtest.open_groups import GROUP_PATH, OpenGroups
from loadtest.stage import CHECKOUT_PATH, GROUP_QUERY_PATH, PRICE_PATH, Buyer, Cart, Stage, cart_body

Body = dict[str, Any]

# Buyers and carts are paired anew until each buyer has had several carts.
REQUESTS = 2_000
# of the carts under many rules
RULED_LINES = 5
ECHO = "echo"
GROUP_JOIN = "group_join"
# Open groups of a busy hour that people are joining just now.
FILLING_GROUPS = 400
API = "api"
API_BATCH_OF_1 = "api-batch-of-1"
ECHO_SERVERS = ("limit", ECHO)


@dataclass(frozen=True)
class Case:
    """`server` is who answers: an echo of loadtest/echo.py, or an API process. `outcome`: where it orders."""

    name: str
    server: str
    path: str
    requests: str
    status: int
    what: str
    outcome: str = "placed"


CASES = (
    Case("limit", "limit", CHECKOUT_PATH, "checkout", 201, "plain ASGI echo of the checkout request"),
    Case(ECHO, ECHO, CHECKOUT_PATH, "checkout", 201, "the usual typed Litestar handler, echoing it"),
    Case("cal_price", API, PRICE_PATH, "price", 200, "two lines, a promotion and a coupon"),
    Case("cal_price_rules", API, PRICE_PATH, "ruled", 200, "five lines, 10,000 rules, one of 20 coupons"),
    Case("checkout", API, CHECKOUT_PATH, "checkout", 201, "two lines over 1,000 SKUs, durable"),
    Case("checkout_hot", API, CHECKOUT_PATH, "hot", 201, "everyone wants the same SKU"),
    Case("sold_out", API, CHECKOUT_PATH, "sold_out", 409, "refusals: that SKU is gone", "out_of_stock"),
    # After the orders: what it asks for is read again for seconds, by Postgres that would serve them.
    Case("group_query", API, GROUP_QUERY_PATH, "group_query", 200, "ten items on sale by group buying"),
    Case("group_join", API, GROUP_PATH, GROUP_JOIN, 201, "slots in open groups of ten, durable"),
    Case(
        "checkout_1", API_BATCH_OF_1, CHECKOUT_PATH, "checkout", 201, "checkout, each in its own transaction"
    ),
)


def choose(only: str) -> list[Case]:
    """The cases named in a comma-separated list; empty: all. Raises SystemExit for an unknown name."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := set(names) - {case.name for case in CASES}:
        known = ", ".join(case.name for case in CASES)
        raise SystemExit(f"No such case: {', '.join(sorted(unknown))}. There are: {known}.")
    return [case for case in CASES if not names or case.name in names]


def write_requests(stage: Stage, folder: Path) -> dict[str, Path]:
    """A file per kind of request: a line each, the buyer's token, a tab, the body."""
    kinds: dict[str, Callable[[Buyer, Cart], Body]] = {
        "price": lambda buyer, cart: cart_body(cart.lines, coupon_ids=[buyer.coupon_id]),
        "checkout": _checkout,
        "hot": lambda buyer, _: _checkout(buyer, stage.hot),
        "sold_out": lambda buyer, _: _checkout(buyer, stage.sold_out),
    }
    files = {kind: _write(folder / f"{kind}.requests", body, _pairs(stage)) for kind, body in kinds.items()}
    ruled = [(each, Cart(rules.cart_lines(n, RULED_LINES), 0)) for n, each in enumerate(stage.ruled_buyers)]
    files["ruled"] = _write(folder / "ruled.requests", kinds["price"], ruled)
    asked = ((each.token, {"item_ids": goods.asked_items(n)}) for n, each in enumerate(stage.buyers))
    files["group_query"] = _write_lines(folder / "group_query.requests", asked)
    return files


class Joins:
    """A request for each slot that is free, each once; some hundred groups fill up at a time."""

    def __init__(self, stage: Stage, groups: OpenGroups) -> None:
        self._lines: list[bytes] = []
        self._next = 0
        shuffle = random.Random(1).shuffle
        for start in range(0, len(groups.group_ids), FILLING_GROUPS):
            filling = groups.group_ids[start : start + FILLING_GROUPS]
            # One slot a buyer: the members of a group follow each other in the list of buyers.
            joins = [
                (group_id, stage.buyers[(number * groups.free_slots + slot) % len(stage.buyers)])
                for number, group_id in enumerate(filling)
                for slot in range(groups.free_slots)
            ]
            shuffle(joins)
            for group_id, buyer in joins:
                self._lines.append(_line(buyer.token, groups.join_body(group_id, buyer.address_id)))

    def write_next(self, path: Path, count: int) -> Path:
        """The next `count` of them."""
        path.write_bytes(b"".join(self._lines[self._next : self._next + count]))
        return path

    def sent(self, count: int) -> None:
        """So many of what was written are used up."""
        self._next += count


def _write(path: Path, body: Callable[[Buyer, Cart], Body], pairs: Iterable[tuple[Buyer, Cart]]) -> Path:
    return _write_lines(path, ((buyer.token, body(buyer, cart)) for buyer, cart in pairs))


def _write_lines(path: Path, requests: Iterable[tuple[str, Body]]) -> Path:
    with path.open("wb") as file:
        for token, body in requests:
            file.write(_line(token, body))
    return path


def _line(token: str, body: Body) -> bytes:
    return token.encode() + b"\t" + msgspec.json.encode(body) + b"\n"


def _checkout(buyer: Buyer, cart: Cart) -> Body:
    return cart_body(cart.lines, payable_minor=cart.payable_minor, address_id=buyer.address_id)


def _pairs(stage: Stage) -> Iterator[tuple[Buyer, Cart]]:
    """Shuffled, always in the same way: requests that arrive together touch SKUs all over the catalog."""
    numbers = list(range(REQUESTS))
    random.Random(1).shuffle(numbers)
    for n in numbers:
        yield stage.buyers[n % len(stage.buyers)], stage.two_line[n % len(stage.two_line)]
