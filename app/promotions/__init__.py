"""Promotions: the rules that lower prices for everybody."""
