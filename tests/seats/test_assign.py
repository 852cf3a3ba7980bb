"""Who sits where: worked examples, and what must hold for any hall and any groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.seats.assign import SEARCHED_PARTIES_MAX, Party, Place, Run, assign

# A hall as the tests draw it: rows, the best first; `.` is free, anything else is not.
Hall = tuple[str, ...]


def runs(hall: Hall) -> list[Run]:
    found: list[Run] = []
    for rank, row in enumerate(hall):
        for position, place in enumerate(row):
            if place != ".":
                continue
            if found and (found[-1].rank, found[-1].start + found[-1].length) == (rank, position):
                found[-1].length += 1
            else:
                found.append(Run(rank, position, 1))
    return found


def drawn(hall: Hall, places: list[Place]) -> Hall:
    """Members by their letters: 0 is `a`."""
    rows = [list(row) for row in hall]
    for place in places:
        for position in range(place.start, place.start + place.quantity):
            assert rows[place.rank][position] == ".", "a seat that is not free"
            rows[place.rank][position] = "abcdefghijkl"[place.member_id]
    return tuple("".join(row) for row in rows)


def group(*quantities: int) -> list[Party]:
    return [Party(member_id, quantity) for member_id, quantity in enumerate(quantities)]


@pytest.mark.parametrize(
    ("quantities", "hall", "seated"),
    [
        # together, in the best row that holds all
        ((1, 2, 1), ("... ...", ".....", "....."), ("... ...", "abbc.", ".....")),
        # of its runs in the one that fits closest, from its beginning
        ((1, 1), (".... ...",), (".... ab.",)),
        # where no block holds all: between members, not through one
        ((2, 1, 2), ("...", "...", "..."), ("aab", "cc.", "...")),
        # in as few blocks as can be
        ((2, 2, 2), ("...", "....", ".."), ("aa.", "bbcc", "..")),
        # of them in rows as close together as can be: the same one, over the aisle; or the next
        ((2, 2), ("..", "xx", ".. .."), ("..", "xx", "aa bb")),
        ((2, 2), ("..", "xx", "..", ".."), ("..", "xx", "aa", "bb")),
        # of rows as close to each other the best ones, from the front
        ((1, 1, 1, 1), (".x.", "...", ".x.", "..."), ("ax.", "bcd", ".x.", "...")),
        ((1, 1, 1, 1, 1), (".x.x.", "...", "..."), (".x.x.", "abc", "de.")),
        # somebody's own seats apart only where there is no other way, and then one member's
        ((2, 2), ("...", ".", "."), ("aab", "b", ".")),
        ((2, 2, 2), ("...", "..."), ("aab", "bcc")),
        ((3,), ("..", ".."), ("aa", "a.")),
        ((5, 2), ("...", "...", "..."), ("bb.", "aaa", "aa.")),
    ],
)
def test_worked_examples(quantities: tuple[int, ...], hall: Hall, seated: Hall) -> None:
    [places] = assign(runs(hall), [group(*quantities)])
    assert drawn(hall, places) == seated


def test_groups_are_seated_one_after_the_other_and_one_that_is_too_large_gets_nothing() -> None:
    hall = ("....", "..")
    first, second, third = assign(runs(hall), [group(1, 2), group(2, 2), group(2)])
    assert drawn(hall, first) == ("abb.", "..")
    assert second == []
    assert drawn(hall, third) == ("....", "aa")


def test_a_large_group_in_a_hall_of_single_seats_is_seated() -> None:
    hall = (". " * 100, ". " * 100)
    [places] = assign(runs(hall), [[Party(n, 1) for n in range(150)]])
    assert sum(place.rank == 0 for place in places) == 100
    assert len({(place.rank, place.start) for place in places}) == 150
    pairs = [Party(n, 1 + n % 2) for n in range(40)]  # no two seats are side by side
    [places] = assign(runs(hall), [pairs])
    assert sum(place.quantity for place in places) == 60


HALLS = st.lists(st.text(alphabet=".. x", min_size=1, max_size=7), min_size=1, max_size=4).map(tuple)
GROUPS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=4)


@given(hall=HALLS, groups=GROUPS)
def test_every_group_gets_all_its_seats_and_nobody_elses(hall: Hall, groups: list[list[int]]) -> None:
    wanted = [group(*quantities) for quantities in groups]
    free = runs(hall)
    answer = assign(free, wanted)
    assert free == runs(hall), "what it was given stays as it was"
    assert assign(list(reversed(free)), wanted) == answer
    for parties, places in zip(wanted, answer, strict=True):
        need = sum(party.quantity for party in parties)
        left = sum(row.count(".") for row in hall)
        seats = Counter({party.member_id: 0 for party in parties})
        for place in places:
            assert place.quantity > 0
            seats[place.member_id] += place.quantity
        assert seats == (dict(parties) if need <= left else dict.fromkeys(seats, 0))
        hall = drawn(hall, places)


@given(hall=HALLS, quantities=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_no_other_way_has_fewer_cuts_or_fewer_blocks_or_closer_or_better_rows(
    hall: Hall, quantities: list[int]
) -> None:
    free = runs(hall)
    need = sum(quantities)
    if need > sum(run.length for run in free):
        return
    [places] = assign(free, [group(*quantities)])
    blocks = blocks_of(hall, places)
    cuts = len(places) - len(quantities)
    best = best_with_nobody_cut(quantities, free)
    if best is not None:
        assert (cuts, *merit(blocks)) == (0, *best)
    else:
        assert merit(blocks) == best_whoever_is_cut(need, free)
        assert 1 <= cuts < len(blocks)


@given(hall=HALLS, quantities=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_block_that_holds_all_is_taken_and_it_is_the_best_one(hall: Hall, quantities: list[int]) -> None:
    need = sum(quantities)
    holding = [run for run in runs(hall) if run.length >= need]
    if holding:
        [places] = assign(runs(hall), [group(*quantities)])
        best = min(holding, key=lambda run: (run.rank, run.length, run.start))
        assert blocks_of(hall, places) == {(best.rank, best.start)}
        assert sorted(place.member_id for place in places) == list(range(len(quantities)))


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    quantities=st.lists(st.integers(1, 3), min_size=9, max_size=14),
)
def test_a_group_too_large_to_search_is_seated_with_few_cuts(
    lengths: list[int], quantities: list[int]
) -> None:
    assert len(quantities) > SEARCHED_PARTIES_MAX
    hall = tuple("." * length for length in lengths)
    if sum(quantities) <= sum(lengths):
        [places] = assign(runs(hall), [[Party(*each) for each in enumerate(quantities)]])
        assert sum(place.quantity for place in places) == sum(quantities)
        assert len({(p.rank, seat) for p in places for seat in range(p.start, p.start + p.quantity)}) == sum(
            quantities
        )
        assert len(places) - len(quantities) < len(lengths)


def blocks_of(hall: Hall, places: list[Place]) -> set[tuple[int, int]]:
    """The runs that the places are in."""
    return {
        (run.rank, run.start)
        for run in runs(hall)
        for place in places
        if place.rank == run.rank and run.start <= place.start < run.start + run.length
    }


def merit(blocks: Collection[tuple[int, int]]) -> tuple[int, int, int]:
    """How many, how far apart, how far behind: less is better."""
    ranks = [rank for rank, _ in blocks]
    return len(blocks), max(ranks) - min(ranks), min(ranks)


def best_with_nobody_cut(quantities: list[int], free: list[Run]) -> tuple[int, int, int] | None:
    """By trying everything: each member in each run."""
    merits = []
    for choice in product(range(len(free)), repeat=len(quantities)):
        taken: Counter[int] = Counter()
        for run, quantity in zip(choice, quantities, strict=True):
            taken[run] += quantity
        if all(units <= free[run].length for run, units in taken.items()):
            merits.append(merit([(free[run].rank, run) for run in taken]))
    return min(merits, default=None)


def best_whoever_is_cut(need: int, free: list[Run]) -> tuple[int, int, int]:
    return min(
        merit([(run.rank, run.start) for run in chosen])
        for count in range(1, len(free) + 1)
        for chosen in combinations(free, count)
        if sum(run.length for run in chosen) >= need
    )
