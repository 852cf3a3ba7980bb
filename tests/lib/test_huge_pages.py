"""Which memory may be in huge pages: what could hold one whole, and nothing of a file or a stack."""

from __future__ import annotations

from pathlib import Path

from app.lib.huge_pages import PAGE_BYTES, use_huge_pages, whole_pages

MAPS = """\
55d0c0000000-55d0c0400000 r--p 00000000 fe:00 26933                      /usr/bin/python3.11
55d0c0400000-55d0c0800000 rw-p 00400000 fe:00 26933                      /usr/bin/python3.11
55d0c1300000-55d0c1a00000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000200000 rw-p 00000000 00:00 0 
7f0000401000-7f0000600000 rw-p 00000000 00:00 0 
7f0000601000-7f0000a01000 rw-p 00000000 00:00 0 
7f0000c00000-7f0001000000 ---p 00000000 00:00 0 
7f0001200000-7f0001600000 rw-s 00000000 00:01 1024                       /dev/zero (deleted)
7ffd1a000000-7ffd1a800000 rw-p 00000000 00:00 0                          [stack]
"""  # noqa: W291 - as the kernel writes it


def test_whole_pages_of_the_heap_and_of_nothing_else() -> None:
    assert list(whole_pages(MAPS)) == [
        (0x55D0C1400000, 3 * PAGE_BYTES),
        (0x7F0000000000, PAGE_BYTES),
        (0x7F0000800000, PAGE_BYTES),
    ]


def test_a_process_that_asks_goes_on_with_what_it_had() -> None:
    kept = {number: str(number) for number in range(100_000)}
    use_huge_pages()
    assert all(text == str(number) for number, text in kept.items())


def test_where_memory_cannot_be_looked_at_it_stays_as_it_was(tmp_path: Path) -> None:
    use_huge_pages(tmp_path / "no-maps")
