"""How often the garbage collector looks.

Most of what a request leaves behind is freed by reference counts alone; what is in cycles (an exception and
its frames) is small. With the defaults a process that holds a catalog spends a fifth of its time on looking
at objects that live as long as the process (docs/performance.md).
"""

from __future__ import annotations

import gc

# New objects before the young are looked at: at 20,000 the collector still took 9 % of a checkout's time. So
# many may wait in cycles, some ten megabytes; at 300,000 `make soak` saw the process grow to its end.
YOUNG_MAX = 100_000
# Young rounds before the middle, middle rounds before the old generation: the old one every few minutes.
MIDDLE_EVERY = 50
OLD_EVERY = 100


def collect_rarely() -> None:
    """Leave all that exists now alone for ever; look at what comes later less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_EVERY, OLD_EVERY)
