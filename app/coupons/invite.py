"""`GET /coupon/invite`: a buyer's own code, by which others are invited to a template's coupons."""

from __future__ import annotations

import msgspec

from app.coupons.administer import new_code
from app.coupons.errors import TemplateNotFound
from app.coupons.schemas import Invitation
from app.lib.postgres import Pool
from app.lib.sql import load
from app.pricing.documents import CouponTemplateDocument

sql = load("coupons")


async def own_invitation(pool: Pool, buyer_id: str, template_id: str) -> Invitation:
    """The code, made when it is asked for first. Raises TemplateNotFound where nobody is invited."""
    row = await pool.fetchrow(sql.read_template, template_id)
    if row is None or msgspec.convert(row["document"], CouponTemplateDocument).invite is None:
        raise TemplateNotFound()
    found = await pool.fetchrow(sql.read_invitation, template_id, buyer_id)
    if found is None:
        await pool.execute(sql.add_invite_code, new_code(), template_id, buyer_id)
        found = await pool.fetchrow(sql.read_invitation, template_id, buyer_id)
    assert found is not None, "it was written, by this call or by one at the same moment"
    return Invitation(template_id, **found)
