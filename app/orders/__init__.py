"""Orders after they are placed: their states, reading them, canceling, closing when not paid in time."""
