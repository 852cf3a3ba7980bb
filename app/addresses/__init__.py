"""Where goods are sent: the buyers' addresses, which of them exist, and which nothing is sent to."""
