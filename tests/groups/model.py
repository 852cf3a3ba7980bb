"""What must become of a campaign's groups, in plain words and without a database.

One campaign of one SKU. Each method does what a buyer, an operator or a sweep does, and returns what the
buyer is told. Units: `free` is what could be reserved now; of an order `held` says that its units are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

GRACE = timedelta(seconds=15)
LIVING = ("UNPAID", "PAID", "SUCCEEDED")


@dataclass
class Order:
    order_id: int
    buyer: str
    quantity: int
    deadline: datetime
    group_id: int | None
    slot: int | None
    held: bool
    status: str = "UNPAID"
    stray: bool = False
    paid_at: datetime | None = None
    # payments that were captured for it, and refunds that were asked for
    captures: int = 0
    refunds: int = 0


@dataclass(eq=False)
class Group:
    group_id: int
    ends_at: datetime
    status: str = "OPEN"
    # the units of all its members are held
    locked: bool = False


@dataclass
class Campaign:
    policy: str
    slots: int
    enough: int
    free: int
    ends_at: datetime
    open_for: timedelta
    pay_within: timedelta
    status: str = "PUBLISHED"
    orders: dict[int, Order] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)

    def members(self, group_id: int | None) -> list[Order]:
        return [
            each
            for each in self.orders.values()
            if each.group_id == group_id is not None and each.status in LIVING
        ]

    def refusals(self, now: datetime, buyer: str, quantity: int, group_id: int | None) -> set[str]:
        """Every reason there is: of several the gate may come upon another one first than the ledger."""
        reasons = set()
        if self.status != "PUBLISHED" or now >= self.ends_at:
            reasons.add("activity_not_open")
        members = self.members(group_id)
        if group_id is not None:
            group = self.groups[group_id]
            if group.status != "OPEN" or now >= group.ends_at:
                reasons.add("group_over")
            if any(each.buyer == buyer for each in members):
                reasons.add("already_member")
            if len(members) == self.slots:
                reasons.add("group_full")
        with_others = self.policy == "last_member"
        wanted = quantity + sum(each.quantity for each in members if with_others and not each.held)
        return reasons | {"out_of_stock"} if wanted > self.free else reasons

    def place(self, now: datetime, order_id: int, buyer: str, quantity: int, group_id: int | None) -> Order:
        members = self.members(group_id)
        ends_at = self.ends_at if group_id is None else self.groups[group_id].ends_at
        slot = None
        if group_id is not None:
            slot = min(set(range(1, self.slots + 1)) - {each.slot for each in members})
        order = Order(
            order_id, buyer, quantity, min(now + self.pay_within, ends_at) + GRACE, group_id, slot, False
        )
        self.orders[order_id] = order
        if self.policy == "each_member":
            self._hold(order)
        elif self.policy == "last_member" and group_id is not None and len(members) + 1 == self.slots:
            self.groups[group_id].locked = True
            for each in [*members, order]:
                self._hold(each)
        return order

    def pay(self, now: datetime, order: Order) -> None:
        """The channel tells of captured money: it counts once and in time, else it goes back."""
        order.captures += 1
        if order.status != "UNPAID":
            order.refunds += 1
            return
        order.status, order.paid_at = "PAID", now
        if order.group_id is None and self.status == "PUBLISHED" and now < self.ends_at + GRACE:
            order.group_id, order.slot = order.order_id, 1
            ends_at = min(now + self.open_for, self.ends_at)
            self.groups[order.order_id] = Group(order.order_id, ends_at)
        elif order.group_id is None or self.groups[order.group_id].status != "OPEN":
            order.stray, order.group_id, order.slot = True, None, None

    def cancel(self, _: datetime, order: Order) -> None:
        order.status = "CANCELED"
        self._let_go(order)
        group = self.groups.get(order.group_id or 0)
        if group is not None and group.locked:
            group.locked = False
            for each in self.members(group.group_id):
                self._let_go(each)

    def close(self, now: datetime) -> None:
        for order in self.orders.values():
            if order.status == "UNPAID" and order.deadline <= now:
                self.cancel(now, order)

    def settle(self, now: datetime) -> None:
        ending = {
            group: outcome
            for group in self.groups.values()
            if group.status == "OPEN" and (outcome := self._outcome(now, group))
        }
        for group in ending:
            for order in self.members(group.group_id):
                if order.status == "UNPAID":
                    self.cancel(now, order)
        for group, outcome in sorted(ending.items(), key=lambda each: self._turn(each[0])):
            group.status, group.locked = outcome, False
            for order in sorted(self.members(group.group_id), key=_paid_first):
                if outcome == "SUCCEEDED" and (order.held or order.quantity <= self.free):
                    order.status = "SUCCEEDED"
                    self.free -= 0 if order.held else order.quantity
                    order.held = False
                elif outcome == "SUCCEEDED":
                    self._give_back(order)
            if not any(each.status == "SUCCEEDED" for each in self.members(group.group_id)):
                group.status = "FAILED"  # also where there were no goods for anybody
        for group, outcome in ending.items():
            if outcome == "FAILED":
                for order in self.members(group.group_id):
                    self._let_go(order)
                    self._give_back(order)

    def settle_strays(self, _: datetime) -> None:
        for order in self.orders.values():
            if order.stray:
                self._let_go(order)
                self._give_back(order)

    def refund(self, _: datetime) -> None:
        for order in self.orders.values():
            if order.status == "REFUNDING":
                order.status = "REFUNDED"

    def end(self, now: datetime) -> None:
        waiting = any(group.status == "OPEN" for group in self.groups.values())
        if self.status == "PUBLISHED" and now >= self.ends_at + GRACE and not waiting:
            self.status, self.free = "ENDED", 0

    def withdraw(self, _: datetime) -> None:
        self.status, self.free = "WITHDRAWN", 0

    def _outcome(self, now: datetime, group: Group) -> str | None:
        paid = sum(each.status == "PAID" for each in self.members(group.group_id))
        if paid == self.slots:
            return "SUCCEEDED"
        if self.status == "WITHDRAWN":
            return "FAILED"
        if now < group.ends_at + GRACE:
            return None
        return "SUCCEEDED" if paid >= self.enough else "FAILED"

    def _turn(self, group: Group) -> tuple[datetime, int]:
        """Whose last payment came first takes first of what is free."""
        return max(each.paid_at or self.ends_at for each in self.members(group.group_id)), group.group_id

    def _hold(self, order: Order) -> None:
        if not order.held:
            order.held = True
            self.free -= order.quantity

    def _let_go(self, order: Order) -> None:
        """Back to the campaign, or once it is over to normal sale."""
        if order.held:
            order.held = False
            self.free += order.quantity if self.status == "PUBLISHED" else 0

    def _give_back(self, order: Order) -> None:
        order.status, order.stray, order.slot = "REFUNDING", False, None
        order.refunds += 1


def _paid_first(order: Order) -> tuple[datetime, int]:
    assert order.paid_at is not None
    return order.paid_at, order.order_id
