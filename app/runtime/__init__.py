"""Running Rushcart on one machine: its own Postgres and Valkey, and the processes that use them."""
