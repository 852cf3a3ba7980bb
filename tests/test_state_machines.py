"""The pictures of the state machines, the tables and the database say the same."""

import re

import asyncpg
import pytest

from app.state_machines import MACHINES, PAGE, Machine, render


def test_the_page_is_drawn_from_the_tables() -> None:
    assert PAGE.read_text() == render(), "write it anew: python -m app.state_machines"


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.table)
def test_every_state_is_listed_and_reached(machine: Machine) -> None:
    states = set(type(machine.initial))
    assert set(machine.transitions) == states
    assert {machine.initial, *(to for targets in machine.transitions.values() for to in targets)} == states


async def test_the_database_takes_exactly_these_states(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for machine in MACHINES:
            check = await connection.fetchval(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1",
                f"{machine.table}_status_check",
            )
            assert set(re.findall(r"'([A-Za-z_]+)'::text", check)) == {
                str(state) for state in machine.transitions
            }
    finally:
        await connection.close()
