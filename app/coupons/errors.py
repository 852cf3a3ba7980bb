"""Why a coupon is not given."""

from __future__ import annotations

from app.lib.errors import Conflict, NotFound


class TemplateNotFound(NotFound):
    code = "template_not_found"
    title = "There is no such coupon template"


class CodeNotFound(NotFound):
    code = "code_not_found"
    title = "This code is not known"


class CodeUsed(Conflict):
    code = "code_used"
    title = "This code has been redeemed already"


class OwnInvitation(Conflict):
    code = "own_invitation"
    title = "Nobody can invite themselves"


class AlreadyInvited(Conflict):
    """By whomever: a buyer counts once for a template."""

    code = "already_invited"
    title = "This buyer has been invited already"


class CouponsExhausted(Conflict):
    """All coupons of the template have been given out. Member: `left`."""

    code = "coupons_exhausted"
    title = "There are not enough of these coupons left"


class PerBuyerMaxReached(Conflict):
    """Member: `user_ids`, who have had as many as one buyer may have."""

    code = "per_buyer_max_reached"
    title = "A buyer may not have more of these coupons"


class ClaimNotOpen(Conflict):
    """Member: `claim_from` when it has not begun, `claim_to` when it is over."""

    code = "claim_not_open"
    title = "These coupons cannot be claimed now"


class RegionNotServed(Conflict):
    """Member: `regions`, where the coupons are for; name an address there as `address_id`."""

    code = "region_not_served"
    title = "These coupons are for buyers elsewhere"


class CouponsEnded(Conflict):
    code = "coupons_ended"
    title = "These coupons have ended"
