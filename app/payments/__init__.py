"""Taking money: how an order can be paid, attempts at a channel, and what the channel reports about them."""
