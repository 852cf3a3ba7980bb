"""`rushcart import`: a progress bar, every bad row named, and what has changed.

Leaves the exit code: 0 when the file was imported (with `--skip-bad` also without its bad rows), 1 when
nothing was.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.catalog.import_file import import_file
from app.catalog.import_records import Imported, ImportRefused
from app.catalog.records import BadRow, UnreadableFile
from app.settings import Settings

# As many as a screen shows; all of them are in the file that is written then.
BAD_ROWS_SHOWN_MAX = 40


class BadRows:
    """Shows the first bad rows; beyond a screenful all of them go to a file, not to memory."""

    def __init__(self, path: Path, console: Console) -> None:
        self._source = path
        self._console = console
        self._shown: list[str] = []
        self._file: io.TextIOWrapper | None = None
        self.path = Path(f"{path.name}.bad-rows.txt")

    def report(self, row: BadRow) -> None:
        text = f"{self._source.name}:{row.line}: {row.reason}"
        if len(self._shown) < BAD_ROWS_SHOWN_MAX:
            self._shown.append(text)
            self._console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
            return
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace")
            self._file.writelines(line + "\n" for line in self._shown)
        self._file.write(text + "\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._console.print(f"All bad rows are in {self.path}.", style="red", highlight=False)


def import_catalog(
    settings: Settings, path: Path, *, shop_id: str, currency: str | None, skip_bad: bool
) -> int:
    """Returns the exit code."""
    console = Console(stderr=True)
    bad_rows = BadRows(path, console)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(path.name, total=path.stat().st_size)
            imported = asyncio.run(
                import_file(
                    settings.database_url,
                    path,
                    shop_id=shop_id,
                    currency=currency,
                    skip_bad=skip_bad,
                    report=bad_rows.report,
                    tell=lambda read_bytes: progress.update(task, completed=read_bytes),
                )
            )
    except ImportRefused as refused:
        console.print(
            f"Nothing was imported: {refused.bad_rows} bad rows (--skip-bad imports the others).", style="red"
        )
        return 1
    except UnreadableFile as unreadable:
        console.print(f"{path.name}: {unreadable}", style="red", markup=False)
        return 1
    except (OSError, asyncpg.PostgresError) as error:
        console.print(f"Nothing was imported: {error}", style="red", markup=False)
        return 1
    finally:
        bad_rows.close()
    print(_summary(imported))
    return 0


def _summary(imported: Imported) -> str:
    left_out = f" {imported.bad_rows} bad rows were left out." if imported.bad_rows else ""
    if not (imported.shops or imported.items or imported.skus):
        return "Nothing new: the catalog has all of this already." + left_out
    return (
        f"New or changed: {imported.shops} shops, {imported.items} items, {imported.skus} SKUs; "
        f"{imported.stocked} SKUs were given their first stock.{left_out}"
    )
