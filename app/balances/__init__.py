"""What buyers hold that pays: accounts, changed by double entries; what orders take of them."""
