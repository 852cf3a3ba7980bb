"""Why a campaign stays as it is."""

from __future__ import annotations

from app.lib.errors import Conflict, NotFound, Unprocessable


class CampaignNotFound(NotFound):
    code = "campaign_not_found"
    title = "There is no such campaign"


class CampaignItemNotFound(NotFound):
    code = "campaign_item_not_found"
    title = "The campaign does not sell that"


class WrongStatus(Conflict):
    """Member: `campaign_status`, what it is now."""

    code = "campaign_status"
    title = "Not possible in the campaign's present state"


class PricesFrozen(Conflict):
    """Member: `sku_ids`. What has passed the review keeps its prices."""

    code = "prices_frozen"
    title = "What has passed the review keeps its prices"


class NotReviewed(Conflict):
    """Member: `campaign_item_ids` that have not passed."""

    code = "not_reviewed"
    title = "Not everything has passed the review"


class SaleOpen(Conflict):
    code = "sale_open"
    title = "The stock changes only while the sale is closed"


class WindowOver(Unprocessable):
    code = "window_over"
    title = "The campaign would have ended already"


class SkuOfOtherItem(Unprocessable):
    """Member: `sku_ids`."""

    code = "sku_of_other_item"
    title = "A campaign sells SKUs of its own item"
