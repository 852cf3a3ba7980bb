"""A seller lowers the price of an unpaid order: whole, by line, or its freight."""
