"""What every capability shares and none owns: errors, ids, clock, money, connections, HTTP."""
