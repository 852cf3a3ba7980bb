"""Pricing: what a cart costs, why, and which coupons fit. The engine is pure; snapshots feed it."""
