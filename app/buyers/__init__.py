"""Buyers as rules see them: their tags, and whether they have ordered before."""
