"""Gift cards: issued by an operator, looked at by their holders."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import JSONBody

from app.dependencies import Buyer, Operator, ServicesDependency
from app.gift_cards.errors import GiftCardNotFound
from app.gift_cards.issue import issue
from app.gift_cards.read import read_card
from app.gift_cards.schemas import GiftCard, IssuedGiftCards, IssueGiftCards
from app.lib.answers import as_response
from app.lib.errors import IdempotencyKeyReused
from app.lib.parameters import IdempotencyKey, PathId


@post("/admin/gift_cards", status_code=200, problems=(IdempotencyKeyReused,))
async def issue_gift_cards(
    data: JSONBody[IssueGiftCards],
    services: ServicesDependency,
    op: Operator,
    idempotency_key: IdempotencyKey = None,
) -> Response[IssuedGiftCards]:
    """Answers the codes; a repeat with the same key gets the same ones."""
    return as_response(await issue(services, op, idempotency_key, data))


@get("/gift_cards/{code:str}", problems=(GiftCardNotFound,))
async def show_gift_card(
    code: PathId,
    services: ServicesDependency,
    buyer: Buyer,  # noqa: ARG001 - asking for it refuses everybody else, and slows down who guesses codes
) -> GiftCard:
    """Whoever has the code is the card's holder."""
    return await read_card(services.pool, code)


ROUTES = [issue_gift_cards, show_gift_card]
