"""Stock: the gate in Valkey that turns most buyers away at once, and what keeps it equal to the ledger."""
