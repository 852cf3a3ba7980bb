"""What a caller may be told about an order."""

from __future__ import annotations

from app.lib.errors import Conflict, NotFound


class OrderNotFound(NotFound):
    """There is no such order, or it is somebody else's."""

    code = "order_not_found"
    title = "There is no such order"


class OrderNotCancelable(Conflict):
    """`order_status` says where the order is; a paid one is refunded, not canceled."""

    code = "order_not_cancelable"
    title = "Only an unpaid order can be canceled"


class PartOfParent(Conflict):
    """Placed and paid with others: `parent_id` is the order to act on, until it is paid."""

    code = "part_of_parent"
    title = "This order was placed and is paid together with others"


class ReceiptNotConfirmable(Conflict):
    """`order_status` says where the order is."""

    code = "receipt_not_confirmable"
    title = "Only an order that is on its way can be confirmed as received"
