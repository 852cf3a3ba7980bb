"""The rules that must always hold, by the sections of the design; each is a statement of audit*.sql.

Those whose name begins with `waiting_` take the time before which nothing may be due any more.
"""

from __future__ import annotations

from collections.abc import Mapping

# Its statements stand in audit_balances.sql.
BALANCES = "4 balances"
# In audit_groups.sql.
GROUPS = "5 groups"
# In audit_seats.sql.
SEATS = "5 seats"

RULES: Mapping[str, tuple[str, ...]] = {
    "1 stock": (
        "stock_movements",
        "stock_reserved",
        "stock_sold",
        "stock_of_orders",
        "purchase_limits",
        "stock_orphans",
    ),
    "2 money": (
        "pay_order_captured",
        "pay_order_refunds",
        "refunds_within_payment",
        "uncounted_money",
        "ledger_balance",
        "ledger_postings",
        "refund_lines",
        "order_and_payment",
    ),
    "3 orders": (
        "lines_add_up",
        "discounts_explained",
        "children_add_up",
        "parents_and_children",
        "due_is_payable",
        "price_changes",
    ),
    "4 coupons": (
        "coupons_and_orders",
        "coupons_spent_once",
        "coupons_granted",
        "rule_uses",
        "rule_uses_of_orders",
        "coupons_of_buyers",
        "codes_and_coupons",
        "coupon_invites",
    ),
    BALANCES: (
        "balances_are_entries",
        "points_lots",
        "points_lot_uses",
        "deductions_and_lines",
        "deductions_posted",
        "red_packets_spent_once",
        "red_packets_hold",
        "waiting_balances",
    ),
    GROUPS: (
        "groups_and_slots",
        "groups_and_campaigns",
        "members_of_settled_groups",
        "group_orders_and_orders",
        "waiting_groups",
        "waiting_campaigns",
    ),
    SEATS: ("seats_given", "seats_of_members", "seats_suffice"),
    "6 once": ("keys_and_orders", "keys_and_coupons", "unfinished_keys", "events_applied"),
    "7 waiting": (
        "waiting_orders",
        "waiting_payments",
        "waiting_refunds",
        "waiting_events",
        "waiting_flash_sales",
        "waiting_coupons",
        "waiting_outbox",
    ),
}
WAITING = "waiting_"

# The gate's rule needs Valkey: app/stock/reconcile.py measures it.
GATE_SECTION, GATE_RULE = "8 gate", "gate_is_ledger"
