"""Why a campaign is not shown."""

from __future__ import annotations

from app.lib.errors import Unprocessable


class CampaignNotListed(Unprocessable):
    """Member: `campaign_ids` that are found by their link only."""

    code = "campaign_not_listed"
    title = "The home page shows no campaigns that are by link only"
