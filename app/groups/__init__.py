"""Groups (团): started with the first paid order, joined slot by slot, settled when full or over."""
