"""The sandbox provider's books: one SQLite file.

One process, one thread and one connection use it, and no verb awaits inside a transaction, so a verb is
atomic and serial. WAL with synchronous=NORMAL survives a kill -9 (not a power cut: it is a sandbox).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiosql

_SQL_FOLDER = Path(__file__).parents[2] / "sql" / "sandbox"


class Store:
    """`queries` are the statements of sql/sandbox/queries.sql; each takes `connection` first."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(folder / "sandbox.sqlite3", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript((_SQL_FOLDER / "schema.sql").read_text())
        self.queries: Any = aiosql.from_path(_SQL_FOLDER / "queries.sql", "sqlite3")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        self.connection.close()
