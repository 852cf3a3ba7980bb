"""Seats of a show: the map of a SKU, who of a group gets which, what comes back."""
