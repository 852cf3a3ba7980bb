"""The demo shop: several shops worth looking at, made from a few tables, the same on every machine."""
