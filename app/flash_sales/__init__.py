"""Flash sales: a few SKUs at a price, for a while, from a quantity set aside."""
