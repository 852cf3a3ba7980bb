"""Red packets (红包): money for buyers, sent from a funded pool, each good for one order."""
