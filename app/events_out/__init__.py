"""Events out: what has happened, told to whoever wants to know."""
