"""Coupons: templates, and what buyers hold of them; granted, redeemed by code, locked, used, returned."""
