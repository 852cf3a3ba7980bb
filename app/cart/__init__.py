"""The buyer's cart: which SKUs, how many. Prices are told by `cal_price`, never kept here."""
