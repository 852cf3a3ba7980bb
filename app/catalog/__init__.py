"""The catalog: shops, items, SKUs, their prices; by admin call and from files."""
