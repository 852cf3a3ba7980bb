"""Is the process alive, can it take orders, and what it has been doing."""
