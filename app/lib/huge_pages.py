"""The heap in huge pages, where the kernel gives them.

Pricing a cart looks at a few objects each in hundreds of pages of 4 KiB, and the processor remembers where
only so many pages are: in pages of 2 MiB a price takes clearly less (docs/performance.md). Nothing depends on
it: without Linux, or where the kernel has none to give, the heap stays as it was.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# madvise(2): the range may have huge pages; make them now (Linux 6.1; before that the kernel does by and by)
MADV_HUGEPAGE = 14
MADV_COLLAPSE = 25
PAGE_BYTES = 2 * 1024 * 1024
# Private memory of no file that is read and written: the interpreter's arenas and what malloc has asked for.
_HEAP = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 *(\[heap\])?$")


def use_huge_pages(maps: Path = Path("/proc/self/maps")) -> None:
    """Ask for huge pages for all that the process holds now; call it when that is what it will keep."""
    if sys.platform != "linux" or not maps.exists():  # as in a jail without /proc
        return
    madvise = ctypes.CDLL(None).madvise
    for start, length in whole_pages(maps.read_text()):
        for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), advice)


def whole_pages(maps: str) -> Iterator[tuple[int, int]]:
    """Start and length of what could be huge pages, in a process's `maps`."""
    for line in maps.splitlines():
        if found := _HEAP.match(line):
            first, end = (int(part, 16) for part in found.groups()[:2])
            start = -(-first // PAGE_BYTES) * PAGE_BYTES
            length = (end - start) // PAGE_BYTES * PAGE_BYTES
            if length > 0:
                yield start, length
