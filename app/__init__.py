"""Rushcart: prices a cart, takes the order, takes the money, gives it back."""
