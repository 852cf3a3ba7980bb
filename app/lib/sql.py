"""Named SQL statements, one file a capability under `sql/queries/`.

`sql = load("checkout")` gives the statements of `sql/queries/checkout.sql` as attributes; each is the text
that asyncpg takes, with `$1, $2, …`. In the files a name ends in `!` where a statement changes something and
in `<!` where it also returns rows; the ending is not part of the attribute. An unknown name fails when it
is looked up, and tests/test_sql.py prepares every statement against a migrated database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiosql

ROOT = Path(__file__).resolve().parents[2]
QUERIES = ROOT / "sql" / "queries"
MIGRATIONS = ROOT / "sql" / "migrations"


class Statements:
    """The statements of one file; `statements.name` is the SQL text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        loaded = aiosql.from_path(path, "asyncpg", mandatory_parameters=False)
        self._texts: dict[str, str] = {
            name: getattr(loaded, name).sql
            for name in loaded.available_queries
            if not name.endswith("_cursor")
        }
        self._descriptions = {name: str(getattr(loaded, name).__doc__) for name in self._texts}

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"{self._path.name} has no statement named {name!r}") from None

    def describe(self, name: str) -> str:
        """The lines of description above the statement, as one."""
        return " ".join(self._descriptions[name].split())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._texts.items())


def load(capability: str) -> Statements:
    """The statements of `sql/queries/<capability>.sql`."""
    return Statements(QUERIES / f"{capability}.sql")
