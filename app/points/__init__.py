"""Points (积分): earned with orders or granted, kept in lots that expire, spent on orders."""
