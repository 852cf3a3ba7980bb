"""`GET /g/{share_code}` and its card, for people and for messengers: a page also where there is nothing."""

from __future__ import annotations

import re
from typing import Annotated

import structlog
from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter

from app.bootstrap import Services
from app.dependencies import ServicesDependency
from app.groups.errors import GroupNotFound
from app.groups.read import read_group
from app.groups.schemas import Group
from app.lib.errors import Unavailable
from app.lib.postgres import TRANSIENT_ERRORS
from app.share_page import page

log = structlog.get_logger()

HTML = "text/html"
PNG = "image/png"
# What codes are made of (app/groups/members.py). Nothing else is looked up.
CODE = re.compile(r"[\w-]{1,64}", re.ASCII)
# Whatever it is, a person gets a page.
Code = Annotated[str, PathParameter()]
# A link that spreads is opened by thousands within a second; the stream brings what is newer.
OPEN_MAX_AGE_S = 2
# An end is final, but a new version of the page should reach readers the same day.
OVER_MAX_AGE_S = 3_600
# A restart of the ledger takes a few seconds. All who have the page open come again after this long.
RETRY_AFTER_S = 5
# The page names another address of the card with each change.
CARD_MAX_AGE_S = 3_600


@get(
    "/g/{share_code:str}",
    answers=(HTML, str),
    responses={
        404: ResponseSpec(str, media_type=HTML, description="No group has this code"),
        503: ResponseSpec(str, media_type=HTML, description="A page that tries again by itself"),
    },
)
async def share_page(share_code: Code, services: ServicesDependency) -> Response[str]:
    """The page that members share, and friends join from. An unknown code is a page, too, with status 404."""
    try:
        group = await _find(services, share_code)
    except GroupNotFound:
        return _page(page.render_missing(), 404, OPEN_MAX_AGE_S)
    except TRANSIENT_ERRORS as error:
        log.error("ledger_down", route="/g/{share_code}", error=repr(error))
        headers = {**page.SECURITY, "Cache-Control": "no-store", "Retry-After": str(RETRY_AFTER_S)}
        text = page.render_unavailable(RETRY_AFTER_S)
        return Response(text, status_code=503, media_type=HTML, headers=headers)
    max_age_s = OPEN_MAX_AGE_S if group.status == "OPEN" else OVER_MAX_AGE_S
    return _page(page.render(group, services.settings.app_link), 200, max_age_s)


@get(
    "/g/{share_code:str}/card.png",
    answers=(PNG, None),
    problems=(GroupNotFound, (Unavailable, "overloaded")),
)
async def share_card(share_code: Code, services: ServicesDependency) -> Response[bytes]:
    """The picture that messengers show with the link."""
    group = await _find(services, share_code)
    picture = await services.cards.submit(page.card(group))
    headers = {"Cache-Control": f"public, max-age={CARD_MAX_AGE_S}", "X-Content-Type-Options": "nosniff"}
    return Response(picture, media_type=PNG, headers=headers)


async def _find(services: Services, share_code: str) -> Group:
    """Raises GroupNotFound."""
    if not CODE.fullmatch(share_code):
        raise GroupNotFound()
    now, base_url = services.clock.now(), services.settings.base_url()
    return await read_group(services.pool, None, now, base_url, share_code=share_code)


def _page(text: str, status: int, max_age_s: int) -> Response[str]:
    headers = {**page.SECURITY, "Cache-Control": f"public, max-age={max_age_s}"}
    return Response(text, status_code=status, media_type=HTML, headers=headers)


ROUTES = [share_page, share_card]
