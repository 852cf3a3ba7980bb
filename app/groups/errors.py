"""Why a buyer cannot start or join a group. Each changes nothing."""

from __future__ import annotations

from app.lib.errors import Conflict, NotFound


class GroupNotFound(NotFound):
    code = "group_not_found"
    title = "There is no such group"


class GroupOrderNotFound(NotFound):
    code = "group_order_not_found"
    title = "There is no such group order"


class GroupFull(Conflict):
    code = "group_full"
    title = "All places in this group are taken"


class GroupOver(Conflict):
    """Member: `group_status`."""

    code = "group_over"
    title = "This group takes nobody any more"


class AlreadyMember(Conflict):
    """Member: `order_id`, the buyer's order in this group."""

    code = "already_member"
    title = "The buyer is in this group already"


class TooManyGroups(Conflict):
    """Member: `groups_at_once_max`."""

    code = "too_many_groups"
    title = "The buyer is in as many groups as may be at once"
