"""Giving money back: asked for once, sent until the channel has taken it, never more than was captured."""
