"""What every capability shares and none owns: errors, ids, clock, connections, HTTP."""
