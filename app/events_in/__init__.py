"""Events from payment channels and carriers: signed, stored once, answered fast, applied by the machines."""
