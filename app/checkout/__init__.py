"""Placing orders: a cart that was priced becomes a durable order, once, or a clear refusal."""
