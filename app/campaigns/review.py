"""From the merchant to the operator and back: submit, and review item by item."""

from __future__ import annotations

from app.bootstrap import Services
from app.campaigns.errors import CampaignItemNotFound, WindowOver, WrongStatus
from app.campaigns.locked import Locked, lock_campaign, move, record, sql
from app.campaigns.read import read_campaign
from app.campaigns.schemas import Campaign, ItemDecision, Review
from app.campaigns.state import Audit, CampaignStatus, after_review
from app.lib.auth import Caller
from app.lib.postgres import transaction


async def submit(services: Services, caller: Caller, campaign_id: int) -> Campaign:
    """Raises CampaignNotFound, WindowOver, and WrongStatus, also while something is refused."""
    now = services.clock.now()
    async with transaction(services.pool) as connection:
        locked = await lock_campaign(connection, caller, campaign_id)
        if locked.row["ends_at"] <= now:
            raise WindowOver()
        if any(item["audit"] == Audit.REFUSED for item in locked.items):
            raise WrongStatus("change or drop what was refused first", campaign_status=locked.row["status"])
        await move(connection, locked, CampaignStatus.SUBMITTED, now)
        await record(connection, campaign_id, caller, now, (None, "submitted", None))
        return await read_campaign(connection, caller, campaign_id)


async def review(services: Services, caller: Caller, campaign_id: int, wanted: Review) -> Campaign:
    """Pass or refuse. What has passed stays passed; once nothing is pending, what was refused sends it back.

    Raises CampaignNotFound, CampaignItemNotFound, WrongStatus.
    """
    now = services.clock.now()
    async with transaction(services.pool) as connection:
        locked = await lock_campaign(connection, caller, campaign_id)
        locked.require(CampaignStatus.SUBMITTED)
        decisions = _decisions(locked, wanted)
        audits = {
            item_id: Audit.PASSED if each.passed else Audit.REFUSED for item_id, each in decisions.items()
        }
        reasons = [None if each.passed else each.reason for each in decisions.values()]
        await connection.execute(sql.review_items, campaign_id, list(audits), list(audits.values()), reasons)
        actions = [
            (item_id, audit.lower(), each.reason)
            for (item_id, audit), each in zip(audits.items(), decisions.values(), strict=True)
        ]
        await record(connection, campaign_id, caller, now, *actions)
        known = {item["campaign_item_id"]: item["audit"] for item in locked.items}
        if after_review(list((known | audits).values())) is CampaignStatus.REJECTED:
            await move(connection, locked, CampaignStatus.REJECTED, now)
        else:
            await connection.execute(sql.touch_campaign, campaign_id)
        return await read_campaign(connection, caller, campaign_id)


def _decisions(locked: Locked, wanted: Review) -> dict[int, ItemDecision]:
    """By item id. Raises CampaignItemNotFound, and WrongStatus for what has passed already."""
    open_ids = [item["campaign_item_id"] for item in locked.items if item["audit"] != Audit.PASSED]
    if wanted.all is not None:
        decisions = {each: ItemDecision(str(each), wanted.all.passed, wanted.all.reason) for each in open_ids}
    else:
        decisions = {int(each.campaign_item_id): each for each in wanted.decisions}
    if unknown := decisions.keys() - {item["campaign_item_id"] for item in locked.items}:
        raise CampaignItemNotFound(campaign_item_ids=sorted(map(str, unknown)))
    if decided := decisions.keys() - set(open_ids):
        item_ids = sorted(map(str, decided))
        raise WrongStatus(
            "what has passed stays passed", campaign_status=locked.row["status"], campaign_item_ids=item_ids
        )
    if not decisions:
        raise WrongStatus("everything has passed already", campaign_status=locked.row["status"])
    return decisions
