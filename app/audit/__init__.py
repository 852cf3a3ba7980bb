"""What must always hold, checked against the ledger and the gate."""
