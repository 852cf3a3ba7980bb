"""Which seats groups get of one map. Pure: the same free seats and groups give the same places.

Enters: the runs of free seats (side by side, no aisle between) and groups of parties, seated one by one.
Leaves: for each group its places. What is wished for, the most important first: the group in one block;
nobody's own seats apart; as few blocks as can be; in rows as close together as can be; in the best rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from heapq import nlargest
from itertools import combinations, groupby
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct

# Up to here every way to spread a group is looked at: 8 parties have 255 sets. A larger group is spread
# largest party first, which is nearly always as good.
SEARCHED_PARTIES_MAX = 8
# Looks that are remembered: groups of one campaign are much alike.
LOOKS_KEPT_MAX = 1_024


class Run(Struct):
    """Free seats side by side: `length` of them from position `start` on. Rank 0 is the best row."""

    rank: int
    start: int
    length: int


class Party(NamedTuple):
    """A member of a group, and the seats that it needs."""

    member_id: int
    quantity: int


class Place(NamedTuple):
    """Seats side by side for one member; who had to be cut has several places."""

    member_id: int
    rank: int
    start: int
    quantity: int


def assign(free: Sequence[Run], groups: Sequence[Sequence[Party]]) -> list[list[Place]]:
    """For each group its places; none at all for one that needs more seats than there are."""
    runs = [
        Run(run.rank, run.start, run.length) for run in sorted(free, key=lambda run: (run.rank, run.start))
    ]
    return [_seat(runs, group) for group in groups]


def _seat(runs: list[Run], group: Sequence[Party]) -> list[Place]:
    """The places of one group, taken out of `runs`."""
    waiting = list(group)
    if _need(waiting) > sum(run.length for run in runs):
        return []
    places: list[Place] = []
    blocks = _fewest_whole_blocks(_quantities(waiting), _lengths(runs))
    whole = blocks is not None
    if blocks is None:
        blocks = _fewest_blocks(waiting, runs)
    untouched = _closest_rows(runs, waiting, blocks, whole=whole)
    used: list[Run] = []
    while waiting:
        chosen = _choose(untouched, waiting, blocks, whole=whole)
        if chosen is None:  # the quick look at a large group had promised too much
            untouched = [run for run in runs if run not in used]
            whole, blocks = False, _fewest_blocks(waiting, untouched)
            continue
        run, sitting = chosen
        untouched.remove(run)
        used.append(run)
        for party in sitting:
            places.append(Place(party.member_id, run.rank, run.start, party.quantity))
            run.start += party.quantity
            run.length -= party.quantity
        waiting = _still_waiting(waiting, sitting)
        blocks -= 1
    runs[:] = [run for run in runs if run.length]
    return places


def _closest_rows(runs: Sequence[Run], waiting: Sequence[Party], blocks: int, *, whole: bool) -> list[Run]:
    """The runs of the closest rows that seat all in so many blocks; of equally close ones the best."""
    quantities, need = _quantities(waiting), _need(waiting)
    rows = [list(row) for _, row in groupby(runs, key=attrgetter("rank"))]

    def suffice(first: int, end: int) -> bool:
        longest = nlargest(blocks, (run.length for row in rows[first:end] for run in row))
        return _fit_whole(quantities, tuple(longest)) if whole else sum(longest) >= need

    closest: Sequence[list[Run]] = rows
    end = 1
    for first in range(len(rows)):
        end = max(end, first + 1)
        while end < len(rows) and not suffice(first, end):
            end += 1
        if not suffice(first, end):
            break  # nor do fewer rows
        if first == 0 or _distance(rows[first:end]) < _distance(closest):
            closest = rows[first:end]
        if _distance(closest) == 0:
            break
    return [run for row in closest for run in row]


def _distance(rows: Sequence[Sequence[Run]]) -> int:
    """From the first to the last; those between may be sold out."""
    return rows[-1][0].rank - rows[0][0].rank


def _choose(
    runs: Sequence[Run], waiting: Sequence[Party], blocks: int, *, whole: bool
) -> tuple[Run, list[Party]] | None:
    """The best run of those after which `blocks - 1` suffice for the rest; and who sits there."""
    need = _need(waiting)
    lengths = _lengths(runs)
    looked_at: set[int] = set()

    def preference(run: Run) -> tuple[int, int, int]:
        # the shortest that holds all: long ones stay whole; else the longest: most sit together
        closest_fit = run.length if run.length >= need else need + lengths[0] - run.length
        return run.rank, closest_fit, run.start

    for run in sorted(runs, key=preference):
        if run.length in looked_at:
            continue
        looked_at.add(run.length)
        others = _longest_others(lengths, run.length, blocks - 1)
        sitting = _whole(waiting, run.length, others) if whole else _cut(waiting, run.length, sum(others))
        if sitting:
            return run, sitting
    return None


def _whole(waiting: Sequence[Party], length: int, others: tuple[int, ...]) -> list[Party]:
    """Who sits in a run of `length`, so that the rest fits whole into the others; nobody if it does not."""
    quantities = _quantities(waiting)
    for fill in _fills(quantities, length):
        if _fit_whole(_without(quantities, fill), others):
            return _members_of(waiting, fill)
    return []


def _cut(waiting: Sequence[Party], length: int, room: int) -> list[Party]:
    """The same where somebody must be cut: one, and only if the others have no `room` for all the rest."""
    need = _need(waiting)
    if length + room < need:
        return []
    fills = _fills(_quantities(waiting), length)
    sitting = _members_of(waiting, fills[0]) if fills else []
    taken = _need(sitting)
    if need - taken > room:
        left = _still_waiting(waiting, sitting)
        largest = max(left, key=lambda party: party.quantity)
        sitting.append(Party(largest.member_id, length - taken))
    return sitting


def _fewest_whole_blocks(quantities: tuple[int, ...], lengths: Sequence[int]) -> int | None:
    """In how few runs all fit with nobody cut; None if they do not. The longest runs can do what any can."""
    most = min(len(quantities), len(lengths))
    if not _fit_whole(quantities, tuple(lengths[:most])):
        return None
    counts = range(most + 1)
    return bisect_left(counts, True, key=lambda count: _fit_whole(quantities, tuple(lengths[:count])))


def _fewest_blocks(waiting: Sequence[Party], runs: Sequence[Run]) -> int:
    """In how few runs all fit, whoever is cut."""
    room, need = 0, _need(waiting)
    for count, length in enumerate(_lengths(runs), start=1):
        room += length
        if room >= need:
            return count
    raise AssertionError("there are seats for all")


@lru_cache(maxsize=LOOKS_KEPT_MAX)
def _fit_whole(quantities: tuple[int, ...], lengths: tuple[int, ...]) -> bool:
    """Whether the parties fit into the runs, nobody cut. Both come largest first."""
    if not quantities:
        return True
    if sum(quantities) > sum(lengths) or quantities[0] > lengths[0]:
        return False
    if _fit_largest_first(quantities, lengths):
        return True
    return len(quantities) <= SEARCHED_PARTIES_MAX and any(
        _fit_whole(_without(quantities, fill), lengths[1:]) for fill in _fills(quantities, lengths[0])
    )


def _fit_largest_first(quantities: Sequence[int], lengths: Sequence[int]) -> bool:
    """The quick look: each party into the run where it leaves least."""
    room = sorted(lengths)
    for quantity in quantities:
        closest = bisect_left(room, quantity)
        if closest == len(room):
            return False
        left = room.pop(closest) - quantity
        room.insert(bisect_left(room, left), left)
    return True


def _fills(quantities: tuple[int, ...], length: int) -> list[tuple[int, ...]]:
    """Sets of parties that a run can take and that leave no room for one more, the fullest first.

    To leave room for one more is never better: it could as well sit here. Of a large group only one set.
    """
    if len(quantities) > SEARCHED_PARTIES_MAX:
        greedy = _largest_first(quantities, length)
        return [greedy] if greedy else []
    fills = {
        chosen
        for count in range(1, len(quantities) + 1)
        for chosen in combinations(quantities, count)
        if sum(chosen) <= length
    }
    full = [fill for fill in fills if not _takes_one_more(fill, quantities, length)]
    return sorted(full, key=lambda fill: (-sum(fill), len(fill), fill))


def _takes_one_more(fill: tuple[int, ...], quantities: tuple[int, ...], length: int) -> bool:
    left = _without(quantities, fill)
    return bool(left) and sum(fill) + left[-1] <= length


def _largest_first(quantities: Sequence[int], length: int) -> tuple[int, ...]:
    taken: list[int] = []
    for quantity in quantities:
        if quantity <= length:
            taken.append(quantity)
            length -= quantity
    return tuple(taken)


def _longest_others(lengths: Sequence[int], length: int, count: int) -> tuple[int, ...]:
    """The `count` longest, one of `length` left out."""
    longest = list(lengths[: count + 1])
    if length in longest:
        longest.remove(length)
    return tuple(longest[:count])


def _members_of(waiting: Sequence[Party], quantities: Sequence[int]) -> list[Party]:
    """The first members with these quantities, in their own order."""
    wanted = Counter(quantities)
    chosen = []
    for party in waiting:
        if wanted[party.quantity]:
            wanted[party.quantity] -= 1
            chosen.append(party)
    return chosen


def _still_waiting(waiting: Sequence[Party], sitting: Sequence[Party]) -> list[Party]:
    seated = {party.member_id: party.quantity for party in sitting}
    left = [Party(each.member_id, each.quantity - seated.get(each.member_id, 0)) for each in waiting]
    return [party for party in left if party.quantity]


def _without(quantities: Sequence[int], taken: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted((Counter(quantities) - Counter(taken)).elements(), reverse=True))


def _quantities(parties: Sequence[Party]) -> tuple[int, ...]:
    """Largest first."""
    return tuple(sorted((party.quantity for party in parties), reverse=True))


def _lengths(runs: Sequence[Run]) -> list[int]:
    """Longest first."""
    return sorted((run.length for run in runs), reverse=True)


def _need(parties: Sequence[Party]) -> int:
    return sum(party.quantity for party in parties)
