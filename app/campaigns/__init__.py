"""Group-buy campaigns: created by merchants, reviewed item by item, published, ended."""
