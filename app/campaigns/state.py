"""A campaign's machine, and what the review of an item and its sale can be.

REJECTED: the review is over and something was refused; the merchant changes or drops it and submits again.
A SUBMITTED campaign whose items have all passed waits to be published, by an operator or by its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class CampaignStatus(StrEnum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    REJECTED = "REJECTED"
    PUBLISHED = "PUBLISHED"
    ENDED = "ENDED"  # its time is over, or it was withdrawn


class Audit(StrEnum):
    PENDING = "PENDING"
    PASSED = "PASSED"
    REFUSED = "REFUSED"


class SellStatus(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


CAMPAIGN_TRANSITIONS: Mapping[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.DRAFT: frozenset({CampaignStatus.SUBMITTED, CampaignStatus.ENDED}),
    CampaignStatus.SUBMITTED: frozenset(
        {CampaignStatus.REJECTED, CampaignStatus.PUBLISHED, CampaignStatus.ENDED}
    ),
    CampaignStatus.REJECTED: frozenset({CampaignStatus.SUBMITTED, CampaignStatus.ENDED}),
    CampaignStatus.PUBLISHED: frozenset({CampaignStatus.ENDED}),
    CampaignStatus.ENDED: frozenset(),
}


def sources(target: CampaignStatus) -> list[str]:
    """The states from which `target` can be reached."""
    return [source.value for source, targets in CAMPAIGN_TRANSITIONS.items() if target in targets]


def after_review(audits: list[str]) -> CampaignStatus:
    """What the campaign is once these are its items' audits."""
    if Audit.REFUSED in audits and Audit.PENDING not in audits:
        return CampaignStatus.REJECTED
    return CampaignStatus.SUBMITTED
